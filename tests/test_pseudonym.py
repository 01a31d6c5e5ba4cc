"""Known answers for each formula, derived a second time here from hashlib alone."""

from __future__ import annotations

import base64
import hashlib
import pickle
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._uid_dict import UID_dictionary

from safelight.errors import KeyUnavailable
from safelight.pseudonym import (
    VR_LIMITS,
    ProjectKey,
    Pseudonymizer,
    canonical,
    digest_bytes,
    is_definition,
    is_valid_uid,
    plain_hash,
)

KEY, SALT = bytes(range(64)), bytes(range(100, 116))
DOMAINS = ("patient", "person", "accession", "study", "note", "visit", "provider", "procedure")


@pytest.fixture
def pseudonyms() -> Pseudonymizer:
    return Pseudonymizer(ProjectKey(KEY, SALT))


def blake(value: str, domain: str, size: int) -> bytes:
    """The design's formula, written out: nothing of the module under test."""
    return hashlib.blake2b(value.encode("utf-8"), digest_size=size, key=KEY, salt=SALT, person=domain.encode()).digest()


# Literals, so that a change of the formula fails even if test and module change together: a delivered pseudonym is for ever.
KNOWN = {
    ("patient", "00123456"): "JLxncWm1punZptN1t/G+VGbTvIUbSO6rGdvdou2I2opVLVr4vNDLohbcmszdybm7",
    ("accession", "RRV00123456"): "Oq+/sGxYyhV103AxQSgRZ66Ah36pzQVayb8FulE/HBtLNzPGlfIHkm9ET3aOH3bX",
    ("person", "4"): "W/A9/FEpNr5+3rkqzHsxy0LH6jFuxbw2YAek997lqC5YY8fDNTjNuYGN0FlcALsr",
}
KNOWN_UID = ("1.2.826.0.1.3680043.8.498.1", "2.25.126996681240444540766415767269076237180")
KNOWN_SHIFT = ("00123456", 3)
KNOWN_HASH = ("CT", "qT5UV36+PwoSevXnQk+C7pp0TsE5oHDBZFvoljOwnDmobnb6uHM2SloxCV5vM84M")


@pytest.mark.parametrize(("domain", "value"), KNOWN)
def test_secure_hash_has_its_known_answer(pseudonyms: Pseudonymizer, domain: str, value: str) -> None:
    found = pseudonyms.secure_hash(value, domain)
    assert found == KNOWN[domain, value]
    assert found == base64.b64encode(blake(value, domain, 48)).decode()
    assert len(found) == 64


@pytest.mark.parametrize("domain", DOMAINS)
def test_each_domain_has_pseudonyms_of_its_own(pseudonyms: Pseudonymizer, domain: str) -> None:
    assert pseudonyms.secure_hash("123", domain) == base64.b64encode(blake("123", domain, 48)).decode()
    assert len({pseudonyms.secure_hash("123", each) for each in DOMAINS}) == len(DOMAINS)


def test_hash_is_the_unkeyed_digest() -> None:
    value, answer = KNOWN_HASH
    assert plain_hash(value) == answer
    assert plain_hash(value) == base64.b64encode(hashlib.blake2b(value.encode(), digest_size=48).digest()).decode()


def test_uid_is_a_version_8_uuid_from_the_keyed_digest(pseudonyms: Pseudonymizer) -> None:
    uid, answer = KNOWN_UID
    found = pseudonyms.uid(uid)
    assert found == answer
    bits = bytearray(blake(uid, "uid", 16))
    bits[6] = bits[6] & 0x0F | 0x80  # RFC 9562, section 5.8
    bits[8] = bits[8] & 0x3F | 0x80
    assert found == f"2.25.{int.from_bytes(bits, 'big')}"
    number = uuid.UUID(int=int(found.removeprefix("2.25.")))
    assert (number.version, number.variant) == (8, uuid.RFC_4122)


def test_date_shift_has_its_known_answer(pseudonyms: Pseudonymizer) -> None:
    scope, answer = KNOWN_SHIFT
    number = int.from_bytes(blake(scope, "date-shift", 16), "big") % 730
    assert pseudonyms.date_shift(scope) == answer
    assert answer == (number - 365 if number < 365 else number - 364)


@given(value=st.text(max_size=40), max_days=st.integers(1, 400))
def test_date_shift_is_never_zero_and_stays_in_range(value: str, max_days: int) -> None:
    days = Pseudonymizer(ProjectKey(KEY, SALT), max_days).date_shift(value)
    assert days != 0
    assert -max_days <= days <= max_days


def test_date_shift_reaches_every_day_about_equally_often() -> None:
    pseudonyms = Pseudonymizer(ProjectKey(KEY, SALT), max_days=5)
    found = [pseudonyms.date_shift(str(number)) for number in range(10_000)]
    counts = {day: found.count(day) for day in range(-5, 6)}
    assert counts.pop(0) == 0
    assert all(800 < count < 1200 for count in counts.values())


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("123", " 123 "),
        ("123", "123\0"),
        ("123", "\t123\r\n"),
        ("Zoë", "Zoe\u0308"),
        ("123", "\u00a0123"),
    ],
)
def test_one_identifier_has_one_pseudonym_however_it_is_written(pseudonyms: Pseudonymizer, one: str, same: str) -> None:
    assert pseudonyms.secure_hash(one, "patient") == pseudonyms.secure_hash(same, "patient")


@pytest.mark.parametrize(("one", "other"), [("0123", "123"), ("abc", "ABC"), ("1 23", "123"), ("4", "4.0")])
def test_different_identifiers_stay_different(pseudonyms: Pseudonymizer, one: str, other: str) -> None:
    assert pseudonyms.secure_hash(one, "patient") != pseudonyms.secure_hash(other, "patient")


@pytest.mark.parametrize(("key", "salt"), [(KEY[::-1], SALT), (KEY, SALT[::-1])])
def test_another_projects_pseudonyms_cannot_be_joined(pseudonyms: Pseudonymizer, key: bytes, salt: bytes) -> None:
    other = Pseudonymizer(ProjectKey(key, salt))
    assert other.secure_hash("123", "patient") != pseudonyms.secure_hash("123", "patient")
    assert other.uid("1.2.3") != pseudonyms.uid("1.2.3")
    assert [other.date_shift(str(n)) for n in range(9)] != [pseudonyms.date_shift(str(n)) for n in range(9)]


@given(uid=st.from_regex(r"\A[1-9]\d{0,9}(\.(0|[1-9]\d{0,8})){0,5}\Z"))
def test_every_uid_becomes_a_valid_one_and_only_once(uid: str) -> None:
    pseudonyms = Pseudonymizer(ProjectKey(KEY, SALT))
    found = pseudonyms.uid(uid)
    assert is_valid_uid(found)
    assert pseudonyms.uid(uid) == found
    assert (found == uid) == is_definition(uid)


@pytest.mark.parametrize(
    "uid",
    [
        *("", "2.16.840.1.113883.6.1", "2.16.840.1.113883.6.96", "2.16.840.1.113883.6.43.1"),
        # A context group, and what later editions may add: a storage class, a transfer syntax.
        *("1.2.840.10008.6.1.1041", "1.2.840.10008.5.1.4.1.1.481.99", "1.2.840.10008.1.2.4.299"),
        *UID_dictionary,
    ],
)
def test_uids_that_name_a_definition_stay(pseudonyms: Pseudonymizer, uid: str) -> None:
    assert pseudonyms.uid(uid) == uid


@pytest.mark.parametrize(
    "uid",
    [
        *("1.2.840.100081.7", "1.2.840.10008.", "1.2.840.10008." + "1" * 60, "1.2.840.10008.SMITH"),
        *("1.2.840.10008.7123.4567.1947.3.13.9", "1.2.840.10008.5.1.4.1.1.7123.4567", "1.2.840.10008.1.2.1.1947.3.13"),
        *(
            "2.16.840.1.113883.6.7123.4567.7",
            "2.16.840.1.113883.6.1947.3",
            "1.2.840.10008.6.1.12345",
            "1.2.840.10008.1.2.4.1\u0661",
        ),
    ],
)
def test_uids_that_only_look_standard_do_not_stay(pseudonyms: Pseudonymizer, uid: str) -> None:
    assert pseudonyms.uid(uid).startswith("2.25.")


@pytest.mark.parametrize("vr", VR_LIMITS)
def test_a_pseudonym_fits_each_vr(pseudonyms: Pseudonymizer, vr: str) -> None:
    found = pseudonyms.secure_hash("123", "patient", limit=VR_LIMITS[vr])
    assert len(found) == min(64, VR_LIMITS[vr])
    assert found == base64.b64encode(blake("123", "patient", len(found) // 4 * 3)).decode()


def test_a_pseudonym_too_short_to_be_unique_is_refused() -> None:
    assert digest_bytes(16) == 12
    with pytest.raises(ValueError, match="16 characters"):
        digest_bytes(15)


@pytest.mark.parametrize(
    ("key", "salt"), [(KEY[:-1], SALT), (KEY, SALT + b"x"), (b"", SALT), (b"\0" * 64, SALT), (KEY, b"ab" * 8)]
)
def test_a_key_that_is_none_stops_and_is_not_shown(key: bytes, salt: bytes) -> None:
    with pytest.raises(KeyUnavailable, match="safelight key new") as caught:
        ProjectKey(key, salt)
    assert repr(key) not in str(caught.value)


def test_no_key_is_ever_shown(pseudonyms: Pseudonymizer) -> None:
    shown = repr(pseudonyms) + repr(pseudonyms.project_key) + str(pseudonyms)
    assert repr(KEY)[2:10] not in shown
    assert KEY.hex()[:12] not in shown
    assert pickle.loads(pickle.dumps(pseudonyms)) == pseudonyms


def test_a_shift_needs_room() -> None:
    with pytest.raises(ValueError, match="max_days"):
        Pseudonymizer(ProjectKey(KEY, SALT), max_days=0)


def test_canonical_bytes_are_what_the_design_says() -> None:
    assert canonical(" 00é ") == "00é".encode()


def test_every_uid_of_the_standard_is_left_alone(pseudonyms: Pseudonymizer) -> None:
    for uid in UID_dictionary:
        assert pseudonyms.uid(uid) == uid


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.19470313",
        "1.2.840.10008.5.1.4.1.1.4857773456",
        "2.16.840.1.113883.2.1.4.1.9434765919",
        "1.2.840.10008",
    ],
)
def test_a_number_that_hides_under_a_standard_root_is_mapped(uid: str, pseudonyms: Pseudonymizer) -> None:
    assert pseudonyms.uid(uid).startswith("2.25.")

"""What is known of all patients is found wherever it stands; what means nobody is left alone."""

from __future__ import annotations

import base64
import hashlib
from datetime import date

import pytest

from safelight.model import Address, KnownIdentifiers
from safelight.release.identifiers import IdentifierIndex

JANE = KnownIdentifiers(
    mrn="SGH0041772",
    nhs_number="943 476 5919",
    person_id="55120034",
    accession="RRV1234567",
    study_uid="1.2.826.0.1.999.7",
    given="Jané",
    middle="Elsbeth",
    surname="O'Farrell-Quist",
    previous_surname="Vandersloot",
    dob=date(1956, 3, 12),
    address=Address(line1="14 Marchmont Terrace", town="Leeds", postcode="LS9 7TF"),
    phone="0113 496 0123",
    other_ids=("OPX-00012345",),
)
#: Everyday words for a name, and numbers that are in every image.
GRACE = KnownIdentifiers(mrn="41772", accession="123", given="Grace", surname="Long", dob=date(1980, 1, 2), person_id="7")
#: One everyday word in the name.
MARY = KnownIdentifiers(mrn="20200203", given="Mary", surname="Long")


@pytest.fixture(scope="module")
def index() -> IdentifierIndex:
    made = IdentifierIndex()
    assert [made.add(known) for known in (JANE, GRACE, MARY)] == [0, 1, 2]
    return made


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("MRN", "see SGH0041772 today"),
        ("MRN", "sgh-004-1772"),
        ("MRN", "PID:SGH0041772.dcm"),
        ("NHS_NO", "943 476 5919"),
        ("NHS_NO", "9434765919"),
        ("NHS_NO", "94-34-76-59-19"),
        ("NHS_NO", "no patient of ours, 401 023 2137"),
        ("OTHER_ID", "55120034"),
        ("OTHER_ID", "OPX00012345"),
        ("ACCESSION", "RRV1234567"),
        ("UID", "copied from 1.2.826.0.1.999.7, series 2"),
        ("NAME", "Jane O'Farrell-Quist"),
        ("NAME", "OFARRELL QUIST^JANE^ELSBETH^^"),
        ("NAME", "JANE E O\u2019FARRELL QUIST"),
        ("NAME", "vandersloot, jané"),
        ("NAME", "\uff2aane Vandersloot"),
        ("NAME", "LONG^MARY"),
        ("POSTCODE", "LS9 7TF"),
        ("POSTCODE", "ls97tf"),
        ("ADDRESS", "of 14, Marchmont  Terrace"),
        ("PHONE", "tel 0113-496-0123"),
        ("PHONE", "+44 113 4960123"),
    ],
)
def test_what_points_at_one_person_is_found_in_anybodys_text(index: IdentifierIndex, kind: str, text: str) -> None:
    assert kind in index.find(text).of(None)


@pytest.mark.parametrize(
    ("owner", "text"),
    [(0, "Vandersloot"), (0, "XSGH0041772"), (0, "Elsbeth was well"), (1, "pt 41772"), (1, "Grace Long"), (2, "20200203")],
)
def test_what_is_short_or_common_is_found_in_the_patients_own_text_alone(
    index: IdentifierIndex, owner: int, text: str
) -> None:
    assert index.find(text).of(owner)
    assert not index.find(text).of((owner + 1) % 3)
    assert not index.find(text).of(None)


@pytest.mark.parametrize(
    "text",
    [
        *("12/03/1956", "3/12/56", "1956-03-12", "12 March 1956", "12th Mar 1956", "March 12, 1956"),
        *("19560312", "12.03.56", "19560312101500.000000", "12031956"),
    ],
)
def test_a_date_is_found_in_every_form_where_it_is_the_patients(index: IdentifierIndex, text: str) -> None:
    found = index.find(f"born {text}; seen")
    assert found.of(0, [date(1956, 3, 12)]) == {"DATE"}
    assert not found.of(0, [date(1956, 3, 13)])
    assert not found.of(1, [])


@pytest.mark.parametrize(
    "text",
    [
        "how long the grace was",
        "123",
        "0.55120034\\0.35156250",
        "1.2.840.10008.5.1.4.1.1.2",
        "SIEMENS SOMATOM Definition AS+ VA48A",
        "20200204103045.123456",
        "4294967295 1234567890",
        "2.25.329800735698586629295641978511506172918",
        "marchmont",
        "14 terrace",
    ],
)
def test_what_means_nobody_is_left_alone(index: IdentifierIndex, text: str) -> None:
    for owner in (None, 0, 1):
        assert not index.find(text).of(owner, [date(1956, 3, 12)])


def test_pseudonyms_are_random_and_mean_nobody(index: IdentifierIndex) -> None:
    for number in range(2_000):
        pseudonym = base64.b64encode(hashlib.sha384(b"%d" % number).digest()).decode()
        assert not index.find(pseudonym).of(number % 3, [date(1956, 3, 12)])
    assert index.find("SGH0041772".ljust(64, "0")[:10] + " " + pseudonym).of(None)


def test_everything_known_of_a_patient_is_entered_or_is_too_common_to_be(index: IdentifierIndex) -> None:
    """A field that is added to the record has to be decided on here."""
    searched = {"mrn", "nhs_number", "person_id", "accession", "study_uid", "given", "middle", "surname", "other_ids"}
    searched |= {"previous_surname", "preferred", "other_names", "dob", "study_date", "address", "phone"}
    common = {"title", "sex", "gp", "referrer", "hospital"}  # not the patient, or shared by thousands
    assert set(KnownIdentifiers.model_fields) == searched | common

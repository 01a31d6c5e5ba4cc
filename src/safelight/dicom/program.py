"""Rules compiled for one storage class: one step per tag, ready for the byte loop. Done once per worker and class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from pydicom.datadict import dictionary_VM, keyword_dict, private_dictionary_VM

from safelight.dicom import values
from safelight.dicom.address import Address, keyword_of
from safelight.dicom.burned_in import WATCHED
from safelight.dicom.codes import CODE_TAGS, Entry
from safelight.dicom.content import ITEM_DATES, ITEM_NUMBERS, TEXT_VALUE, clean_item_text, item_date, withheld_items
from safelight.dicom.dummies import DUMMIES
from safelight.dicom.icc import SRGB, clean_profile
from safelight.dicom.rules import DicomRules
from safelight.dicom.standard import OPTIONS, attribute_types, confidentiality, nested_types
from safelight.dicom.steps import (
    CHANGE,
    CHARSET,
    CODED,
    CONSTANT,
    FOREVER,
    KEEP,
    KEEP_NOTED,
    NOTED,
    NOTHING,
    PIXELS,
    SEQUENCE,
    Act,
    Detail,
    State,
    Step,
    Table,
)
from safelight.dicom.vocabulary import MOST_DIGITS_OF_TERMS, Vocabulary, known_terms, known_words
from safelight.dicom.vr import CHECKS, LEAST_TEXT, SIZES, known_tags
from safelight.operation import (
    CleanText,
    DateFloor,
    DateShift,
    Fixed,
    Hash,
    Keep,
    Map,
    NumRange,
    Operation,
    SecureHash,
    Uid,
)
from safelight.operation import Vocabulary as Known
from safelight.pseudonym import Pseudonymizer

#: Default domains of pseudonyms; every stage uses the same words.
DOMAINS: Final = {
    "PatientID": "patient", "OtherPatientIDs": "patient", "AccessionNumber": "accession", "StudyID": "study",
    "PatientName": "patient", "IssuerOfPatientID": "issuer",
}  # fmt: skip
_NEEDED: Final = WATCHED | {
    "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID", "StudyDate", "SeriesDate",
    "AcquisitionDate", "ContentDate", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "NumberOfFrames", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PatientIdentityRemoved", "PlanarConfiguration",
}  # fmt: skip
WATCHED_TAGS: Final = {keyword_dict[keyword]: keyword for keyword in _NEEDED}
#: Bytes of the longest list of pointers to elements that makes sense.
_MOST_POINTERS: Final = 4 * 64
_ICC_PROFILE: Final = 0x00282000
#: What the engine says itself about the de-identification; an input's own claims never come out.
STAMPED: Final = frozenset((0x00120062, 0x00120063, 0x00120064, 0x00280301, 0x00280303))
PIXEL_TAGS: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))


def nothing_of(_text: str) -> str:
    """Keep nothing of a text: without a vocabulary no word is known to be harmless."""
    return ""


def _removed(_raw: bytes, _state: State) -> None:
    return None


@dataclass(frozen=True)
class Program:
    """Compiled rules of one storage class.

    Args:
        table: steps at the top level; ``items``: steps inside sequences.
        private: steps of private elements by (group, creator, offset).
        label: the words of the closed vocabulary in a text, for meanings of codes.
        withheld: concepts (scheme, code) whose content items do not come out.
        codes: coded entries that were met before.
    """

    table: Table
    items: Table
    private: dict[tuple[int, str, int], Step]
    label: Callable[[str], str] = nothing_of
    withheld: frozenset[tuple[str, str]] = frozenset()
    codes: dict[tuple[object, ...], Entry] = field(default_factory=dict)

    @cached_property
    def private_blocks(self) -> dict[tuple[int, str], dict[int, Step]]:
        """Steps by offset, of each group and creator that any rule names."""
        blocks: dict[tuple[int, str], dict[int, Step]] = {}
        for (group, creator, offset), step in self.private.items():
            blocks.setdefault((group, creator), {})[offset] = step
        return blocks


OPTION_BITS: Final = {name: 1 << index for index, name in enumerate(OPTIONS)}


class Compiler:
    """Turns rules and a project's key into programs."""

    def __init__(
        self,
        rules: DicomRules,
        pseudonymizer: Pseudonymizer,
        *,
        clean: Act | None = None,
        narrative: Act | None = None,
        label: Callable[[str], str] = nothing_of,
    ) -> None:
        self._rules = rules
        self._pseudonymizer = pseudonymizer
        self._clean = clean
        self._narrative = narrative
        self._label = label
        self._codes: dict[tuple[object, ...], Entry] = {}
        self._withheld = withheld_items(rules)
        self._private: dict[tuple[int, str, int], Step] = {}
        self._fallbacks: dict[tuple[int, str], Step | None] = {}
        self._groups = frozenset(address.group for address in rules.elements if address.creator)
        self._items = Table({}, self._groups)
        self._devices = Vocabulary(rules.words | rules.devices, unlisted=1)
        self._terms = Vocabulary(rules.words | rules.terms, unlisted=2, digits=MOST_DIGITS_OF_TERMS)
        for address, rule in rules.elements.items():
            if address.creator:
                step = self._step(address, address.tag, rule.operation, "")
                if step:
                    self._private[(address.group, address.creator, address.tag & 0xFF)] = step
                continue
            for tag in address.tags():
                step = self._step(address, tag, rule.operation, "")
                if step and tag not in PIXEL_TAGS and tag not in STAMPED:
                    self._items[tag] = step
        self._link_sequences()

    def program(self, sop_class: str) -> Program:
        """Return the program of one storage class."""
        types = attribute_types(sop_class)
        table = Table(self._items, self._groups, frozenset(WATCHED_TAGS))
        for tag, kind in types.items():
            if kind == "2" and tag not in table and tag not in PIXEL_TAGS:
                table[tag] = _empty_step(tag)
        for address, rule in self._rules.elements.items():
            for tag in address.tags():
                if tag in table and types.get(tag) in {"1", "1C", "2", "2C"}:
                    step = self._step(address, tag, rule.operation, types[tag])
                    if step:
                        step.detail.items = table[tag].detail.items
                        table[tag] = step
        for tag in WATCHED_TAGS:
            if tag not in table:
                table[tag] = Step(NOTED, b"", 0, FOREVER, None, Detail(tag, frozenset()))
            elif table[tag].kind == KEEP:
                table[tag] = table[tag]._replace(kind=KEEP_NOTED)
        for tag in PIXEL_TAGS:
            table[tag] = Step(PIXELS, b"OW", 0, FOREVER, None, Detail(tag, frozenset((b"OB", b"OW"))))
        return Program(table, self._items, self._private, self._label, self._withheld, self._codes)

    def _link_sequences(self) -> None:
        required = nested_types()
        for tag, step in self._items.items():
            if step.kind != SEQUENCE:
                continue
            missing = {
                child: _empty_step(child)
                for child, kind in required.get(tag, {}).items()
                if kind == "2" and child not in self._items
            }
            missing |= {
                child: found for child, kind in required.get(tag, {}).items() if (found := self._fallen_back(child, kind))
            }
            step.detail.items = Table({**self._items, **missing}, self._groups) if missing else self._items

    def _fallen_back(self, tag: int, kind: str) -> Step | None:
        """Return the step of a listed element that must be in an item, with what stands in for a value that goes.

        Many sequences have the same elements in their items: one step does for all.
        """
        if (tag, kind) not in self._fallbacks:
            self._fallbacks[tag, kind] = self._falling_back(tag, kind)
        return self._fallbacks[tag, kind]

    def _falling_back(self, tag: int, kind: str) -> Step | None:
        rule = self._rules.elements.get(Address(tag))
        if rule is None or self._items.get(tag, NOTHING).kind not in {KEEP, KEEP_NOTED, CHANGE}:
            return None
        step = self._step(Address(tag), tag, rule.operation, kind)
        return step if step is not None and step.detail.fallback else None

    def _step(self, address: Address, tag: int, operation: Operation, kind: str) -> Step | None:
        vr = address.vr()
        codes = frozenset(part.strip().encode("ascii") for part in vr.split(" or "))
        first = b"OW" if b"OW" in codes else vr[:2].encode("ascii")
        if operation.op == "remove":
            return _empty_step(tag) if kind.startswith("2") else None
        detail = Detail(tag, codes, option=_option(address, operation, self._rules.codes))
        if kind.startswith("2"):
            detail.fallback = values.element(tag, first, b"")
        elif kind in {"1", "1C"} and isinstance(operation, (CleanText, Map, Known)) and vr in DUMMIES:
            detail.fallback = values.element(tag, first, values.encode_fixed(DUMMIES[vr], vr))
        if operation.op == "empty":
            detail.constant = values.element(tag, first, b"")
            return Step(CONSTANT, first, 0, FOREVER, None, detail)
        if isinstance(operation, Fixed):
            detail.constant = values.element(tag, first, values.encode_fixed(operation.value, vr))
            return Step(CONSTANT, first, 0, FOREVER, None, detail)
        if vr == "SQ":
            return Step(SEQUENCE, b"SQ", 0, FOREVER, None, detail)
        if tag in CODE_TAGS and self._rules.codes == "standard" and isinstance(operation, Keep):
            return Step(CODED, first, 0, FOREVER, None, detail)
        if tag == 0x00080005:
            return Step(CHARSET, b"CS", 0, FOREVER, None, detail)
        if isinstance(operation, (Keep, Known)) and tag not in ITEM_NUMBERS:
            step = self._keep(first, detail, _vm(address))
            if isinstance(operation, Known):
                detail.check = known_words(self._devices, CHECKS[first])
                detail.closed = True
            elif tag == _ICC_PROFILE:
                detail.check = clean_profile
                # Without values known to be good, the byte loop would copy it unseen.
                step = step._replace(known=set())
                if kind in {"1", "1C"}:
                    detail.fallback = values.element(tag, first, SRGB)
            elif vr == "CS" and self._rules.code_strings == "standard":
                detail.check = known_terms(self._terms, CHECKS[first])
                if kind in {"1", "1C"}:
                    detail.fallback = values.element(tag, first, values.encode_fixed(DUMMIES[vr], vr))
            return step
        detail.act, detail.per = self._act(address, operation, vr)
        if tag in ITEM_DATES and isinstance(operation, (DateFloor, DateShift)):
            detail.act, detail.per = item_date(detail.act, vr), "year"
        detail.dated = detail.option == OPTION_BITS["retain_longitudinal_modified_dates"]
        return Step(CHANGE, first, 0, FOREVER, None, detail)

    def _keep(self, vr: bytes, detail: Detail, most_values: int) -> Step:
        noted = detail.option != 0
        if vr in CHECKS:
            detail.check = CHECKS[vr]
            most = FOREVER if vr in {b"UC", b"UR", b"UT"} else 0xFFFE
            return Step(KEEP_NOTED if noted else KEEP, vr, 1, most, set(), detail)
        if vr == b"AT":
            detail.check = known_tags
            return Step(KEEP_NOTED if noted else KEEP, vr, 3, _MOST_POINTERS, set(), detail)
        size = SIZES.get(vr, 1)
        # A number has as many bytes as its dictionary entry says: longer ones hold something else.
        # In OW and its like one value is a whole array (PS3.5 section 6.4), so nothing follows from the number of values.
        single = most_values and len(detail.vrs) == 1 and not vr.startswith(b"O")
        most = size * most_values if single else FOREVER
        known: set[bytes] | None = set() if most >= LEAST_TEXT else None
        return Step(KEEP_NOTED if noted else KEEP, vr, max(size, 2) - 1, most, known, detail)

    def _act(self, address: Address, operation: Operation, vr: str) -> tuple[Act, str]:
        keyword = keyword_of(address.tag) if not address.creator else ""
        pseudonymizer = self._pseudonymizer
        if isinstance(operation, DateShift):
            shifts: dict[int, values.Transform] = {}

            def shift(raw: bytes, state: State) -> bytes | None:
                days = state.days
                if days is None:
                    return b""
                if days not in shifts:
                    if len(shifts) > 64:
                        shifts.clear()
                    shifts[days] = values.date_shift(days, vr)
                return shifts[days](raw)

            return shift, "days"
        if isinstance(operation, DateFloor):
            if keyword == "PatientBirthDate":
                return lambda raw, state: values.birth_floor(state.study_year)(raw), "year"
            return _pure(values.date_floor(vr)), ""
        if isinstance(operation, NumRange) and vr == "US or SS":
            unsigned, signed = values.num_range(operation, "US"), values.num_range(operation, "SS")
            return lambda raw, state: (signed if state.signed else unsigned)(raw), ""
        if isinstance(operation, NumRange):
            return _pure(values.num_range(operation, vr)), ""
        if isinstance(operation, Uid):
            return _pure(values.uid(pseudonymizer, several=_vm(address) != 1)), ""
        if isinstance(operation, Map):
            return _decoding(lambda decode: values.mapping(operation, decode)), "charset"
        if isinstance(operation, (Hash, SecureHash)):
            key = pseudonymizer if isinstance(operation, SecureHash) else None
            domain = getattr(operation, "domain", "") or DOMAINS.get(keyword) or f"{address.tag:08x}"
            return _decoding(lambda decode: values.digest(vr, decode, key, domain)), "charset"
        if isinstance(operation, CleanText) and address.tag == TEXT_VALUE:
            return clean_item_text(self._narrative or _removed), "concept"
        if isinstance(operation, CleanText):
            return self._clean or _removed, "instance"
        if isinstance(operation, Keep):
            return ITEM_NUMBERS[address.tag], "concept"
        raise TypeError(operation.op)


def _vm(address: Address) -> int:
    """Return how many values the dictionary allows, or 0 where it sets no bound."""
    try:
        if address.creator:
            vm = private_dictionary_VM((address.group << 16) | 0x1000 | (address.tag & 0xFF), address.creator)
        else:
            vm = dictionary_VM(address.tag)
    except KeyError:
        return 0
    return int(vm) if str(vm).isdigit() else 0


def _pure(transform: values.Transform) -> Act:
    def act(raw: bytes, _state: State) -> bytes | None:
        return transform(raw)

    return act


def _decoding(make: Callable[[Callable[[bytes], str]], values.Transform]) -> Act:
    from safelight.dicom.charset import decode

    transforms: dict[tuple[str, ...] | None, values.Transform] = {}

    def act(raw: bytes, state: State) -> bytes | None:
        charset = state.charset
        if charset not in transforms:
            transforms[charset] = make(lambda part: decode(part, charset))
        return transforms[charset](raw)

    return act


def _empty_step(tag: int) -> Step:
    vr = Address(tag).vr()[:2].encode("ascii") or b"UN"
    return Step(CONSTANT, vr, 0, FOREVER, None, Detail(tag, frozenset((vr,)), constant=values.element(tag, vr, b"")))


def _option(address: Address, operation: Operation, codes: str) -> int:
    """Return the bit of the option that this rule takes up: what the Basic Profile alone would have removed."""
    if operation.op in {"empty", "remove", "fixed", "secure-hash", "hash", "uid"}:
        return 0
    if address.creator:
        return OPTION_BITS["retain_safe_private"]
    if operation.op == "clean-text":
        return OPTION_BITS["clean_descriptors"]
    if operation.op == "date-shift":
        return OPTION_BITS["retain_longitudinal_modified_dates"]
    row = confidentiality().get(address.tag)
    if row is not None and "clean_structured_content" in row.options:
        # Where all codes are kept, none is looked at, and it is by its concept that content is cleaned.
        return OPTION_BITS["clean_structured_content"] if codes == "standard" else 0
    if row is None or Address(address.tag).vr() in {"SQ", "TM"}:
        # A sequence's items speak for themselves; a time of day tells nothing without its date.
        return 0
    wanted = "C" if operation.op in {"map", "date-shift", "date-floor", "vocabulary"} else "K"
    for option, action in row.options.items():
        if action == wanted or (option == "retain_patient_characteristics" and operation.op == "num-range"):
            return OPTION_BITS[option]
    return 0

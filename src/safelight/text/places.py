"""Places that narrow down who is meant: hospitals, practices, wards, addresses and towns."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

from safelight.text.folding import fold_word
from safelight.text.lexicon import alternatives, read_lines, read_set
from safelight.text.naming import STOP
from safelight.text.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from safelight.text.document import Document, Word
    from safelight.text.site import Site

_B: Final = r"(?<![^\W_])"
_E: Final = r"(?![^\W_])"
#: A word with its hyphens. Bounded, and never followed by a hyphen: else a long run of them is tried in too many ways.
_W: Final = r"[^\W\d_](?:[\w'\u2019&\-]|\.(?=\w)){0,40}"
_STREET: Final = alternatives("streets.txt")
_S: Final = r"(?:[ \t]{1,3}|[ \t]{0,2}\n[ \t]{0,4})"
_ADDRESS: Final = re.compile(
    rf"(?<![^\W_])(?<![/.:\-])(?<!\d )(?:(?:flat|apartment|apt|unit|room|house|suite){_S}\w{{1,4}},?{_S}"
    rf"(?:{_W}[ ](?:house|court|lodge|tower|point),{_S})?)?\d{{1,4}}[ ]?[a-h]?(?:[\-/]\d{{1,4}}[a-h]?)?,?{_S}"
    rf"(?:{_W}{_S}){{0,3}}?{_W}{_S}(?:{_STREET}){_E}(?:[ ](?:north|south|east|west|{_STREET}){_E})?"
)
_NO_ADDRESS: Final = re.compile(rf"\b(?:{alternatives('no_addresses.txt')})\b")
_TOWN_AFTER_ADDRESS: Final = re.compile(
    rf"[,^\s]{{1,4}}(?P<v>{_W}(?:\s{_W}){{0,3}}?)(?=[,^\s]{{1,4}}(?:[a-z]{{1,2}}\d)|\s*\n|[,.]|$)"
)
_INSTITUTION: Final = alternatives("institutions.txt")
_PRACTICE: Final = alternatives("practices.txt")
_TO_PLACE: Final = re.compile(
    rf"{_B}(?:{alternatives('to_places.txt')})"
    rf"(?:\s\w+){{0,2}}?\s(?:from|to|at|in|near)\s(?:the\s)?(?P<v>(?:the\s)?{_W}(?:\s{_W}){{0,2}})"
)


def _name(words: str, limit: int = 4) -> str:
    return rf"(?:(?:the|st|st\.)\s{{1,2}})?(?:{_W}\s{{1,2}}(?:of\s|and\s|&\s|the\s|in\s)?){{1,{limit}}}?(?:{words})"


_HOSPITAL_LIKE: Final = re.compile(rf"{_B}{_name(_INSTITUTION)}{_E}(?!\s{{1,2}}(?:no|number|num|id)\b)")
_CALLED_HOSPITAL: Final = re.compile(
    rf"{_B}(?:{alternatives('institution_starts.txt')})\s(?:the\s|st\.?\s)?(?P<v>{_W}(?:\s{_W})?)"
)
_PRACTICE_LIKE: Final = re.compile(rf"{_B}{_name(_PRACTICE)}{_E}")
_WARD: Final = re.compile(rf"{_B}(?P<name>[^\W\d_][\w'\u2019\-]{{0,40}}(?:\s[^\W\d_][\w'\u2019\-]{{0,40}})?)\sward{_E}")
_NUMBERED_WARD: Final = re.compile(
    rf"{_B}(?:ward\s(?:[a-z]?\d{{1,3}}[a-z]?|[a-z]\d)|(?:bay|bed|cubicle|side room)\s\d{{1,3}}[a-z]?|ward\s[b-hj-z]){_E}"
)
#: A unit's consultant or team is no place.
_UNITS: Final = re.compile(
    rf"{_B}(?:{alternatives('units.txt')}){_E}"
    r"(?![ ](?:consultants?|registrar|reg|team|nurses?|outreach|sho|spr|doctors?|sister)\b)"
)
#: In front of "ward" these words are no ward's name.
_NO_WARD: Final = read_set("no_wards.txt")
_CONNECT: Final = read_set("no_places.txt")


class Places:
    """Finds places: those that are known by name, and those that look like one.

    Args:
        site: the hospital's own list.
    """

    def __init__(self, site: Site) -> None:
        directory = site.directory
        hospitals = [
            *site.values("hospitals"),
            *directory.home_aliases,
            directory.home_hospital,
            *read_lines("hospitals.txt"),
        ]
        short = [re.sub(r"(?i)\s+(?:university\s+)?(?:hospital|infirmary)s?$", "", name) for name in hospitals]
        hospitals += [name for name in short if len(name.split()) > 1]
        self._hospitals = _any_of(hospitals)
        self._practices = _any_of(site.values("practices"))
        self._towns = _any_of([*site.values("towns"), *read_lines("towns.txt")])
        self._wards = _any_of(site.values("wards"))

    @cached_property
    def _listed(self) -> tuple[tuple[str, re.Pattern[str], float], ...]:
        return (("HOSPITAL", self._hospitals, 0.86), ("GP_PRACTICE", self._practices, 0.86), ("WARD", self._wards, 0.86))

    def find(self, document: Document) -> Iterator[Span]:
        """Yield places in the document."""
        low = document.low
        for label, pattern, score in self._listed:
            for match in pattern.finditer(low):
                if document.caseless or document.text[match.start()].isupper():
                    yield Span(*match.span(), label, "place:listed", score)
        for label, pattern in (("GP_PRACTICE", _PRACTICE_LIKE), ("HOSPITAL", _HOSPITAL_LIKE)):
            for match in pattern.finditer(low):
                if (start := self._name_start(document, match, practice=label == "GP_PRACTICE")) is not None:
                    yield Span(start, match.end(), label, "place:institution", 0.87)
        for match in _CALLED_HOSPITAL.finditer(low):
            yield from self._begun(document, match)
        for match in _UNITS.finditer(low):
            yield Span(*match.span(), "WARD", "place:unit", 0.7)
        for match in _NUMBERED_WARD.finditer(low):
            yield Span(*match.span(), "WARD", "place:ward", 0.75)
        for match in _WARD.finditer(low):
            yield from self._ward(document, match)
        yield from self._addresses(document)
        for match in self._towns.finditer(low):
            written = document.text[slice(*match.span())]
            if (
                (written[0].isupper() or document.all_lower)
                and not document.is_protected(*match.span())
                and self._is_town(document, match)
            ):
                yield Span(*match.span(), "TOWN", "place:town", 0.72)
        for match in _TO_PLACE.finditer(low):
            yield from self._unlisted(document, match)

    def _name_start(self, document: Document, match: re.Match[str], *, practice: bool) -> int | None:
        """Return where the capitalised words in front of "Hospital" begin, or None when there are none."""
        words = document.words_between(match.start(), match.end())
        head = None
        for word, behind in zip(reversed(words[:-1]), reversed(words), strict=False):
            if (
                "\n" in document.text[word.end : behind.start]
                and behind is not words[-1]
                and not document.is_wrapped(word.start)
            ):
                break
            if (word.low in {"of", "at"} and practice) or _ROLE.fullmatch(word.low):
                break
            connects = word.low in {"of", "and", "the", "in", "st", "&"}
            if word.low in {"of", "and", "in"} or (connects and head is not None and word.low != "the"):
                continue
            if word.low in _CONNECT and not (
                word.low == "the" and (word.capital or document.all_lower) and head is not None
            ):
                break
            if not (word.capital or document.all_lower or connects):
                break
            if word.low in _GENERIC and head is None:
                head = None if document.lexicon.vocabulary.is_common(word.low) and word.low in _GENERIC else word
                continue
            head = word
        if head is not None and match.group().endswith("partners") and document.low.endswith("dr ", 0, head.start):
            return head.start - 3
        return head.start if head else None

    @staticmethod
    def _begun(document: Document, match: re.Match[str]) -> Iterator[Span]:
        """Yield ``BMI The Priory``, ``Ysbyty Glan Clwyd``: its first word and the capitalised ones behind it."""
        taken = match.start("v")
        for word in document.words_between(*match.span("v")):
            clinical = document.lexicon.is_clinical(word.low) or word.low in STOP | _CONNECT
            if clinical or not (word.capital or document.caseless) or document.text[taken : word.start].count("\n"):
                break
            if document.caseless and document.lexicon.vocabulary.is_common(word.low):
                break
            taken = word.end
        if taken > match.start("v") and (document.caseless or document.text[match.start()].isupper()):
            yield Span(match.start(), taken, "HOSPITAL", "place:begun", 0.7)

    def _ward(self, document: Document, match: re.Match[str]) -> Iterator[Span]:
        named: list[Word] = []
        for word in reversed(document.words_between(*match.span())[:-1]):
            if word.length < 2 or word.low in _NO_WARD | STOP or not (word.capital or document.caseless):
                break
            named.insert(0, word)
        if named and not document.is_protected(named[0].start, match.end()):
            if document.caseless and all(document.lexicon.vocabulary.is_common(word.low) for word in named):
                named = named[-1:] if named[-1].low not in _GENERIC else []
            if named:
                yield Span(named[0].start, match.end(), "WARD", "place:ward", 0.75)

    def _addresses(self, document: Document) -> Iterator[Span]:
        low = document.low
        for match in _ADDRESS.finditer(low):
            body = low[slice(*match.span())]
            inner = re.sub(r"^.*\d+\s?[a-h]?,?\s+", "", body, flags=re.DOTALL)
            if _NO_ADDRESS.search(inner.rsplit(maxsplit=1)[0]) or not self._capitalised(
                document, match.start() + len(body) - len(inner), match.end()
            ):
                continue
            yield Span(*match.span(), "ADDRESS", "place:address", 0.88)
            town = _TOWN_AFTER_ADDRESS.match(low, match.end())
            if town is None or any(c.isdigit() for c in town["v"]) or self._practice_word(town["v"]):
                continue
            if self._capitalised(document, *town.span("v")):
                yield Span(*town.span("v"), "TOWN", "place:after_address", 0.71)

    @staticmethod
    def _practice_word(written: str) -> bool:
        return bool(re.match(r"(?:dob|tel|fax|nhs|diagnosis|re|dear|phone|mob)\b", written))

    @staticmethod
    def _capitalised(document: Document, start: int, end: int) -> bool:
        if document.all_lower:
            return True
        words = document.words_between(start, end)
        return bool(words) and all(
            word.capital or word.low in {"of", "the", "and", "upon", "on", "le", "st"} for word in words
        )

    def _is_town(self, document: Document, match: re.Match[str]) -> bool:
        """Tell whether a town's name is the town here and not a word or a surname."""
        name = match.group()
        if not document.lexicon.vocabulary.is_common(name) and " " not in name:
            return True
        if " " in name or "-" in name:
            return True
        before = document.low[max(0, match.start() - 14) : match.start()]
        return bool(re.search(r"(?:\bin|\bfrom|\bto|\bat|\bnear|\^|,)\s?$", before)) and not document.caseless

    def _unlisted(self, document: Document, match: re.Match[str]) -> Iterator[Span]:
        """Yield a place that no list has: capitalised words, one of them no word, behind "transferred from"."""
        words = document.words_between(*match.span("v"))
        taken: list[Word] = []
        for word in words:
            if word.low == "the" and not taken:
                continue
            if (
                not (word.capital or document.all_lower)
                or word.low in _CONNECT | STOP
                or document.lexicon.is_clinical(word.low)
            ):
                break
            taken.append(word)
        lexicon = document.lexicon
        if (
            taken
            and any(lexicon.is_foreign(word.low) for word in taken)
            and not document.is_protected(taken[0].start, taken[-1].end)
        ):
            yield Span(taken[0].start, taken[-1].end, "HOSPITAL", "place:behind", 0.68)


#: Ends, to the left, the name of a place that somebody of that role works at.
_ROLE: Final = re.compile(
    r"consultant|registrar|practitioner|physician|surgeon|fellow|specialist|doctor|.+(?:ologist|ographer|etist)"
)
_GENERIC: Final = read_set("generic_places.txt")


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    """Return the pattern of any of the names, the longest first, with any blank, hyphen or apostrophe between words."""
    unique = {fold_word(name).strip() for name in names if len(name.strip()) > 2}
    patterns = [
        r"[\s\-]{1,2}".join(_loose(word) for word in re.split(r"[\s\-]+", name))
        for name in sorted(unique, key=lambda n: (-len(n), n))
    ]
    return re.compile(f"{_B}(?:{'|'.join(patterns)}){_E}" if patterns else r"(?!)")


def _loose(word: str) -> str:
    return "['\u2019]?".join(re.escape(part) for part in word.split("'"))

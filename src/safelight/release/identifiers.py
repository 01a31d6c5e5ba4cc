"""What is known of all patients of a project, to be found in one pass over a text, however many patients there are.

A text is cut into words, numbers and dotted numbers; each of them, and each run of up to six that stand close together,
is looked up in one table. So the cost is that of the text, and not of the patients. Two strengths: what points at one
person wherever it stands (a full name, an NHS number, an original UID) is looked for everywhere; what is too short or too
common for that (a surname, a date of birth, a six-digit number) only where the patient's own data is. Decision 19 has
the rules. Nothing here is shared with the engine or the text de-identifier but the list of everyday words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from safelight.model import KnownIdentifiers
from safelight.text.vocabulary import Vocabulary, standard_vocabulary

#: A dotted number is a UID, a date or a decimal fraction: its parts are no numbers of their own.
_TOKEN: Final = re.compile(r"\d+(?:\.\d+)+|\d+|[^\W\d_]+")
#: Our own pseudonyms (base64 of 48 bytes) are random: what they seem to spell means nothing.
_PSEUDONYM: Final = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{64}(?![A-Za-z0-9+/])")
#: So are digests and the names of files in the lake.
_HEXADECIMAL: Final = re.compile(
    r"(?<![0-9a-z])(?:[0-9a-f]{32,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?![0-9a-z])"
)
_RANDOM_SIZE: Final = 32
#: Words and numbers that are put together, and characters between two of them.
_WORDS: Final = 6
_GAP: Final = 3
#: What separates the words of a name, or the parts of a number.
_BREAK: Final = re.compile(r"[\n\r|;:<>\"\\]")
_POSTCODE: Final = re.compile(r"[a-z]{1,2}\d[a-z\d]?\d[a-z]{2}")
_MONTH_NAMES: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTHS: Final = {form: at for at, name in enumerate(_MONTH_NAMES, start=1) for form in (name, name[:3])} | {"sept": 9}
_COMPACT_DATE: Final = re.compile(r"(?<![\d.])(\d{8})(?:\d{4}|\d{6})?(?!\d)")
_DATE: Final = re.compile(
    r"(?<![\d.])(\d{1,4})(?:st|nd|rd|th)?[\s./-]{1,2}(?:of\s)?(\d{1,2}|[a-z]{3,9})[\s./,-]{1,2}(\d{2,4})(?![\d.]\d|\d)"
)
_MONTH_FIRST: Final = re.compile(r"(?<![a-z])([a-z]{3,9})[\s.]{1,2}(\d{1,2})(?:st|nd|rd|th)?[\s,]{1,2}(\d{4})(?!\d)")
_NHS: Final = re.compile(r"(?<![\d.])(\d{3})[ -](\d{3})[ -](\d{4})(?![\d.])|(?<![\d.])([4679]\d{9})(?![\d.])")
#: Makers of devices are in every image, and are surnames.
_MAKERS: Final = frozenset(["philips", "siemens", "marconi", "picker", "carestream", "fischer", "hitachi", "canon", "kodak"])


@dataclass(frozen=True)
class Hits:
    """What was found in a text: kinds, never values. ``owners`` and ``dates`` count only where the text is theirs."""

    kinds: frozenset[str] = frozenset()
    owners: dict[int, frozenset[str]] = field(default_factory=dict)
    dates: frozenset[date] = frozenset()

    def of(self, owner: int | None, dates: Iterable[date] = ()) -> frozenset[str]:
        """Return the kinds that count in a text of this patient, of whom these dates are known."""
        found = self.kinds | self.owners.get(-1 if owner is None else owner, frozenset())
        return found | {"DATE"} if any(day in self.dates for day in dates) else found


class IdentifierIndex:
    """Identifiers of all patients. Memory: about 3 kB a patient.

    Args:
        vocabulary: what is an everyday word.
    """

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        self._vocabulary = vocabulary or standard_vocabulary()
        self._anywhere: dict[str, str] = {}
        self._own: dict[str, tuple[str, tuple[int, ...]]] = {}
        self._beginnings: set[str] = set()
        self._count = 0

    def add(self, known: KnownIdentifiers) -> int:
        """Enter a patient; returns the number by which texts of this patient are told."""
        owner = self._count
        self._count += 1
        for kind, key in _names(known, self._telling):
            self._enter(kind, key, owner)
        numbers = [("NHS_NO", known.nhs_number), ("MRN", known.mrn), ("ACCESSION", known.accession)]
        numbers += [("OTHER_ID", value) for value in (known.person_id, *known.other_ids)]
        for kind, value in numbers:
            self.add_number(kind, value, owner)
        self.add_uid(known.study_uid)
        if len(phone := "".join(filter(str.isdigit, known.phone))) >= 9:
            self._anywhere_as("PHONE", phone)
            self._anywhere_as("PHONE", phone.replace("44", "0", 1) if phone.startswith("44") else "44" + phone.lstrip("0"))
        if _POSTCODE.fullmatch(postcode := _key(known.address.postcode)):
            self._anywhere_as("POSTCODE", postcode)
        street = _key(known.address.line1)
        if len(street) >= 8 and any(c.isdigit() for c in street) and any(c.isalpha() for c in street):
            self._anywhere_as("ADDRESS", street)
        return owner

    def add_number(self, kind: str, value: str, owner: int) -> None:
        """Enter a number that a hospital gave: everywhere where it is long enough to mean one person."""
        whole = _key(value)
        core = max(re.findall(r"\d+", whole), key=len, default="")
        for key in {whole, whole.lstrip("0"), core, core.lstrip("0")}:
            digits = sum(c.isdigit() for c in key)
            mixed = len(key) >= 8 and 0 < digits < len(key)
            if (mixed or digits >= (7 if key in whole and core == whole else 8)) and not _is_like_a_date(key):
                self._anywhere_as(kind, key)
            elif len(key) >= 5 and digits >= 4:
                self._enter(kind, key, owner)

    def add_uid(self, uid: str) -> None:
        """Enter an original UID."""
        if uid.count(".") >= 3:
            self._anywhere["." + uid.strip()] = "UID"

    def _telling(self, word: str) -> bool:
        return len(word) > 2 and word not in _MAKERS and not self._vocabulary.is_common(word)

    def _enter(self, kind: str, key: str, owner: int) -> None:
        if kind == "FULL_NAME":
            self._anywhere_as("NAME", key)
            return
        kinds, owners = self._own.get(key, (kind, ()))
        if owner not in owners[-1:]:
            self._own[key] = (kinds, (*owners, owner))
        self._beginnings.add(key[:4])

    def _anywhere_as(self, kind: str, key: str) -> None:
        self._anywhere.setdefault(key, kind)
        self._beginnings.add(key[:4])

    def find(self, text: str, *, check_digits: bool = True) -> Hits:
        """Return what the text holds. Linear; 0.4 ms for 1,000 characters.

        Args:
            text: any text.
            check_digits: take a number that nobody is known by for an NHS number, if its check digit is right.
        """
        folded = _fold(_without_pseudonyms(text))
        kinds: set[str] = set()
        owners: dict[int, set[str]] = {}
        for key, whole in self._keys(folded):
            if (kind := self._anywhere.get(key)) is not None:
                kinds.add(kind)
            if whole and (own := self._own.get(key)) is not None:
                for owner in own[1]:
                    owners.setdefault(owner, set()).add(own[0])
        if check_digits and any(
            _is_nhs_number("".join(match.group(1, 2, 3)) if match[1] else match[4]) for match in _NHS.finditer(folded)
        ):
            kinds.add("NHS_NO")
        own_kinds = {owner: frozenset(found) for owner, found in owners.items()}
        return Hits(frozenset(kinds), own_kinds, frozenset(_dates(folded)))

    def _keys(self, text: str) -> Iterator[tuple[str, bool]]:
        """Yield every word and number, and every run of them, that might be in the table; False: a word was left out."""
        tokens = [(match.start(), match.end(), match.group()) for match in _TOKEN.finditer(text)]
        beginnings, count = self._beginnings, len(tokens)
        for index, (_, end, word) in enumerate(tokens):
            if "." in word:
                yield from ((key, True) for key in _of_dotted(word))
                continue
            joined, skipped = word, ""
            for following in range(index + 1, index + _WORDS + 1):
                known = len(joined) < 4 or joined[:4] in beginnings
                if len(joined) >= 4 and known:
                    yield joined, True
                if skipped:
                    yield skipped, False
                if following >= count or not (known or skipped or following == index + 1):
                    break
                start, after, more = tokens[following]
                if start - end > _GAP or "." in more or (start > end and _BREAK.search(text, end, start)):
                    break
                if following > index + 1 and more.isalpha() and (skipped or (following == index + 2 and word.isalpha())):
                    skipped = (skipped or word) + more  # given name, a middle name or initial, surname
                joined += more
                end = after


def _of_dotted(word: str) -> Iterator[str]:
    yield "." + word
    parts = word.split(".")
    if len(parts) == 2:
        yield parts[0]  # a number with a fraction of zero, as spreadsheets write it
    elif len(word) <= 20:
        yield "".join(parts)


def _names(known: KnownIdentifiers, telling: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Yield the names by which the patient may be called: full names, and words that are telling by themselves."""
    given = [_key(value) for value in (known.given, known.preferred, known.middle)]
    given += [_key(f"{known.given} {known.middle}")]
    surnames = [_key(value) for value in (known.surname, known.previous_surname)]
    pairs = [(first, last) for first in given for last in surnames]
    for other in known.other_names:
        words = [_key(word) for word in other.split()]
        pairs += [(words[0], words[-1])] if len(words) > 1 else [("", words[0])] if words else []
    for first, last in dict.fromkeys(pairs):
        if len(first) > 1 and len(last) > 1 and len(first + last) >= 7 and (telling(first) or telling(last)):
            for key in (first + last, last + first):
                yield ("FULL_NAME" if telling(key) else "NAME"), key
        elif len(first + last) >= 5 and first and last:
            yield "NAME", first + last
            yield "NAME", last + first
    for word in {word for pair in pairs for word in pair}:
        if len(word) >= 4 and telling(word):
            yield "NAME", word


def _key(value: str) -> str:
    return "".join(match.group() for match in re.finditer(r"[^\W_]+", _fold(value)))


class _Folds(dict[int, str]):
    """What each character is compared by: no case, accent, width or mark. Remembered as they are met."""

    def __missing__(self, code: int) -> str:
        plain = unicodedata.normalize("NFKD", _LETTERS.get(chr(code), chr(code)))
        self[code] = "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Cf")).casefold()
        return self[code]


_LETTERS: Final = {"ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "æ": "ae", "Æ": "ae", "œ": "oe"}
_FOLDS: Final = _Folds()


def _fold(text: str) -> str:
    return text.lower() if text.isascii() else text.translate(_FOLDS)


def _without_pseudonyms(text: str) -> str:
    if len(text) < _RANDOM_SIZE:
        return text
    text = _HEXADECIMAL.sub(" ", text)
    return _PSEUDONYM.sub(lambda match: " " if match[0].lower() != match[0] != match[0].upper() else match[0], text)


def _is_nhs_number(digits: str) -> bool:
    """Tell by the check digit (NHS Data Dictionary: modulus 11)."""
    check = 11 - sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False)) % 11
    return (0 if check == 11 else check) == int(digits[9]) and len(set(digits)) > 1


def _is_like_a_date(key: str) -> bool:
    return len(key) in (8, 12, 14) and key.isdigit() and any(True for _ in _dates(key))


def _dates(text: str) -> Iterator[date]:
    """Yield every date that the text may mean, in any usual form and order."""
    for match in _COMPACT_DATE.finditer(text):
        digits = match[1]
        yield from _day(digits[:4], digits[4:6], digits[6:])
        yield from _day(digits[4:], digits[2:4], digits[:2])
    for match in _DATE.finditer(text):
        one, two, three = match.groups()
        if len(one) == 4:
            yield from _day(one, two, three)
        elif len(one) < 3:
            yield from _day(three, two, one)
            yield from _day(three, one, two)
    for match in _MONTH_FIRST.finditer(text):
        yield from _day(match[3], match[1], match[2])


def _day(year: str, month: str, day: str) -> Iterator[date]:
    if not day.isdigit() or len(year) not in (2, 4) or not (month.isdigit() or month in _MONTHS):
        return
    for century in (1900, 2000) if len(year) == 2 else (0,):
        try:
            found = date(int(year) + century, int(month) if month.isdigit() else _MONTHS[month], int(day))
        except ValueError:
            continue
        if 1880 <= found.year <= 2100:
            yield found

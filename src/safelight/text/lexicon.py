"""Which words are words, which are names, which phrases are clinical: everything that rules look up."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from safelight.text.folding import fold_word
from safelight.text.vocabulary import Vocabulary, read_ranked, read_words, standard_vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Up to this rank a surname is carried by so many that a capitalised word is rather the name.
_FREQUENT_SURNAMES: Final = 12_000
#: Endings of medicine names (WHO's stems) and of clinical adjectives and nouns; a capitalised word with one is no name.
_CLINICAL_ENDINGS: Final = re.compile(
    r".{3,}(?:ximab|zumab|umab|tinib|pril|olol|sartan|statin|cillin|oxacin|mycin|azole|parin|xaban|gatran|prazole|setron"
    r"|triptan|caine|curium|azepam|zolam|barbital|dronate|gliptin|gliflozin|glutide|thiazide|semide|sonide|coxib|oxetine"
    r"|triptyline|piprazole|lukast|cycline|vudine|platin|taxel|rubicin|trexate|poetin|grastim|itis|osis|aemia|uria|pathy"
    r"|ectomy|otomy|ostomy|plasty|scopy|graphy|megaly|algia|plegia|paresis|stenosis|sclerosis|genic|lytic|trophic|trophy"
    r"|plasia|rrhage|rrhagic|rrhoea|ectasis|ectasia|penia|cytic|blastic|oedema|ologist|ology|ological|carcinoma|sarcoma"
    r"|blastoma|cytoma|glioma|angioma|denoma|lipoma|thelioma|cele|lith|lithiasis|ogram|ography|therapy|phagia|pnoea|motility"
    r"|cephaly|gyria|lucency|lucent|opaque|ablation|hepatic|femoral|ulated|isation|ization)s?"
)
#: Endings that names have too, though rarely: of clinical words where nobody is called so.
_CLINICAL_LOOK: Final = re.compile(r".{4,}(?:omas?|omata|omatous|icular|lysis|a?emic|ectatic|thic|oideum|orum|aceous|ossal)")
#: In front of a word these make another: paralabral, hepatofugal, microhaemorrhages, scapulothoracic.
_PREFIXES: Final = re.compile(
    r"(?:peri|para|sub|supra|infra|intra|inter|extra|retro|trans|pre|post|hyper|hypo|iso|micro|macro|multi|poly|endo|epi|uni|bi"
    r"|hemi|semi|pseudo|juxta|circum|un|non|re|co|dys|oligo|tri|mid|over|under|anti|ultra|infero|supero|antero|postero|medio"
    r"|[a-z]{3,8}o)(?P<stem>[a-z]{4,})"
)


#: Endings of what is derived from another word, as names seldom are.
_DERIVED: Final = re.compile(
    r"(?:al|ar|ary|ic|ous|oid|ed|age|ages|sions?|tions?|ive|ments?|bular|itis|osis|cysts?|venous|vascular)$"
)
_ENDINGS: Final = (
    "al",
    "ally",
    "ic",
    "ous",
    "ly",
    "ities",
    "ised",
    "ized",
    "ate",
    "ated",
    "ating",
    "ic",
    "eal",
    "ar",
    "s",
    "es",
)
_STEM_ENDS: Final = ("", "a", "e", "y", "um", "us", "is", "es")


def read_lines(name: str) -> list[str]:
    """Return the lines of a packaged plain list, without comments and blank ones."""
    text = (files("safelight.text.words") / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def read_set(name: str) -> frozenset[str]:
    """Return the words of a packaged plain list."""
    return frozenset(word for line in read_lines(name) for word in line.split())


def alternatives(name: str) -> str:
    """Return a packaged list of regular expressions as one, without its brackets. Their blanks match line ends too."""
    return "|".join(line.replace(" ", r"\s") for line in read_lines(name))


@dataclass(frozen=True)
class Lexicon:
    """Words, names and phrases. All folded.

    Args:
        vocabulary: English words.
        clinical: words of medicine, drugs, devices, credentials and abbreviations; never a name alone.
        given: given names.
        surnames: surnames, each with its rank (0: the most frequent).
        phrase_lines: clinical phrases as regular expressions.
        eponyms: names that medicine uses for diseases, signs and devices.
        heads: what stands behind an eponym, as regular expressions of whole words.
    """

    vocabulary: Vocabulary
    clinical: frozenset[str]
    given: frozenset[str]
    surnames: dict[str, int] = field(hash=False)
    phrase_lines: tuple[str, ...] = ()
    eponyms: frozenset[str] = frozenset()
    heads: tuple[str, ...] = ()

    @cached_property
    def _phrases(self) -> re.Pattern[str]:
        lines = "|".join("(?:" + re.sub(r"(?<!\[) (?!\?|-\])", r"\\s", line) + ")" for line in self.phrase_lines) or "(?!)"
        return re.compile(rf"(?<![^\W_])(?:{lines})(?![^\W_])")

    @cached_property
    def head(self) -> re.Pattern[str]:
        """What follows an eponym and makes a clinical term of it: ``'s popliteal cyst``, `` type II fracture``."""
        heads = "|".join(self.heads) or "(?!)"
        number = r"(?:type|grade|stage|class|group|zone)\s(?:[ivx]+[a-f]?|\d[a-d]?|[a-e])(?![^\W_])"
        epithet = r"(?:(?:[\s\-]+(?:and|or))?[\s\-]+[a-z\-]+){0,2}?"
        return re.compile(
            rf"(?:'s|s'|')?(?:(?<=')s?{epithet}|(?<='s){epithet}|[\s\-]+(?:{number}|[a-e]|[ivx]+[a-f]?))?[\s\-]+(?:{heads})(?![^\W_])"
            rf"|(?:'s|s'|')?[\s\-]+(?:{number}|\d[a-d]?(?![\d/.\-\w])|[ivx]+[ab]?(?![^\W_]))"
        )

    def is_eponym(self, low: str) -> bool:
        """Tell whether medicine named something after somebody of that name."""
        if low in self.eponyms or (low.endswith("s") and low[:-1] in self.eponyms):
            return True
        parts = low.split("-")
        named = [part in self.eponyms for part in parts]
        return len(parts) > 1 and any(named) and all(n or self.is_word(part) for n, part in zip(named, parts, strict=True))

    def phrases(self, low: str) -> list[tuple[int, int]]:
        """Return where clinical phrases stand in folded text."""
        return [match.span() for match in self._phrases.finditer(low)]

    def is_word(self, low: str) -> bool:
        """Tell whether a folded word, or every part of a compound, is one of English or medicine."""
        if low in self.vocabulary.words or low in self.clinical or _CLINICAL_ENDINGS.fullmatch(low):
            return True
        if self._is_variant(low):
            return True
        parts = re.split(r"['\-]", low)
        return len(parts) > 1 and all(
            len(part) < 2
            or part in self.vocabulary.words
            or part in self.clinical
            or bool(_CLINICAL_ENDINGS.fullmatch(part))
            for part in parts
        )

    def _is_variant(self, low: str) -> bool:
        """Tell whether a word is a listed one in British spelling or with a clinical ending: haemoptysis, mucosal."""
        plain = low.replace("ae", "e").replace("oe", "e")
        if plain != low and (plain in self.vocabulary.words or plain in self.clinical):
            return True
        for ending in _ENDINGS:
            stem = low[: -len(ending)]
            ends = _STEM_ENDS if ending != "ly" else ("",)
            if low.endswith(ending) and len(stem) > 4 and any(self._is_listed(f"{stem}{end}") for end in ends):
                return not self._is_borne(low)
        compound = _PREFIXES.fullmatch(low)
        clinical = _CLINICAL_LOOK.fullmatch(low) or (compound is not None and self._is_stem(compound["stem"]))
        return bool(clinical) and not self._is_borne(low)

    def _is_listed(self, low: str) -> bool:
        return low in self.vocabulary.words or low in self.clinical

    def _is_stem(self, low: str) -> bool:
        """Tell whether a word behind a prefix is one of medicine: of English alone, too many names would be made."""
        return low in self.clinical or (low in self.vocabulary.words and _DERIVED.search(low) is not None)

    def _is_borne(self, low: str) -> bool:
        return self.is_given(low) or self.is_surname(low, 30_000)

    def is_clinical(self, low: str) -> bool:
        """Tell whether medicine uses the word."""
        return low in self.clinical

    def is_given(self, low: str) -> bool:
        """Tell whether people are given that name (the first part of a compound counts)."""
        return low in self.given or ("-" in low and low.split("-")[0] in self.given)

    def is_surname(self, low: str, rank: int = 10**9) -> bool:
        """Tell whether people bear that surname, among the first ``rank``."""
        if self.surnames.get(low, rank) < rank:
            return True
        return any(self.surnames.get(part, rank) < rank for part in re.split(r"['\-]", low) if part != low and len(part) > 3)

    def is_foreign(self, low: str) -> bool:
        """Tell whether a word is a name rather than a word: none of any list, or a rare one that people bear."""
        if low in self.clinical:
            return False
        if not self.is_word(low):
            return True
        return not self.vocabulary.is_common(low) and low in self.vocabulary.words and self.is_name(low, _FREQUENT_SURNAMES)

    def is_name(self, low: str, rank: int = 10**9) -> bool:
        """Tell whether anybody is called so."""
        return low not in self.clinical and (self.is_given(low) or self.is_surname(low, rank))

    def with_site(self, words: Iterable[str], phrases: Iterable[str]) -> Lexicon:
        """Return a lexicon with a hospital's own words and phrases."""
        return Lexicon(
            self.vocabulary,
            self.clinical | {fold_word(word) for word in words},
            self.given,
            self.surnames,
            (*self.phrase_lines, *phrases),
            self.eponyms,
            self.heads,
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of everything in it."""
        parts = (
            sorted(self.clinical),
            sorted(self.given),
            sorted(self.surnames),
            self.phrase_lines,
            sorted(self.eponyms),
            self.heads,
        )
        text = self.vocabulary.fingerprint() + "\0".join("\n".join(part) for part in parts)
        return hashlib.sha256(text.encode()).hexdigest()


@cache
def standard_lexicon() -> Lexicon:
    """Return the packaged lexicon. Read once a process."""
    clinical = set(read_words("icd.txt.gz"))
    for line in read_lines("clinical.txt"):
        clinical.update(fold_word(word) for word in line.split())
    return Lexicon(
        vocabulary=standard_vocabulary(),
        clinical=frozenset(clinical),
        given=read_words("given.txt.gz"),
        surnames={name: rank for rank, name in enumerate(read_ranked("surnames.txt.gz"))},
        phrase_lines=tuple(read_lines("phrases.txt")),
        eponyms=frozenset(word for line in read_lines("eponyms.txt") for word in line.split()),
        heads=tuple(word for line in read_lines("heads.txt") for word in line.split()),
    )

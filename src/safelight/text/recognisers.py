"""Our rules as Presidio recognisers, so that a hospital can add its own to the same engine.

Presidio ships patterns for other countries and a context enhancer; none is loaded. Everything that a recogniser needs
about a text (``Document``) is worked out once and travels in the ``NlpArtifacts`` that the engine hands to each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from safelight.text.document import Document
from safelight.text.formats import SiteFormats, find_formats
from safelight.text.forms import MONTHS
from safelight.text.layout import find_laid_out
from safelight.text.naming import STOP
from safelight.text.people import find_people
from safelight.text.span import LABELS, Span
from safelight.text.sweep import find_foreign, find_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from safelight.text.document import Word
    from safelight.text.known import KnownPerson
    from safelight.text.lexicon import Lexicon
    from safelight.text.ner import NerModel
    from safelight.text.places import Places
    from safelight.text.site import Site
    from safelight.text.staff import Staff

LANGUAGE: Final = "en"


class Artifacts(NlpArtifacts):  # type: ignore[misc]
    """A document, in the place where Presidio keeps what a language model made of a text."""

    def __init__(self, document: Document) -> None:
        super().__init__([], None, [], [], None, LANGUAGE)
        self.document = document


class NoContext(ContextAwareEnhancer):  # type: ignore[misc]
    """Leaves scores alone: our rules look at their context themselves, and Presidio's way copies every result."""

    def __init__(self) -> None:
        super().__init__(0.0, 0.0, 0, 0)

    def enhance_using_context(self, text: str, raw_results: list[Any], *_: object, **__: object) -> list[Any]:  # noqa: ARG002
        """Return the results."""
        return raw_results


class Engine(NlpEngine):  # type: ignore[misc]
    """Presidio's place for a language model: builds the document. The models are asked later, and seldom.

    Args:
        lexicon: which words are words.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def load(self) -> None:
        """Do nothing."""

    def is_loaded(self) -> bool:
        """Return True."""
        return True

    def process_text(self, text: str, language: str) -> Artifacts:  # noqa: ARG002
        """Return the document of a text."""
        return Artifacts(Document(text, self._lexicon))

    def process_batch(
        self,
        texts: Iterable[str],
        language: str,
        **_: object,
    ) -> Iterator[tuple[str, Artifacts]]:
        """Yield each text with its document."""
        for text in texts:
            yield text, self.process_text(text, language)

    def is_stopword(self, word: str, language: str) -> bool:  # noqa: ARG002
        """Return False: no rule asks."""
        return False

    def is_punct(self, word: str, language: str) -> bool:  # noqa: ARG002
        """Return False: no rule asks."""
        return False

    def get_supported_entities(self) -> list[str]:
        """Return our labels."""
        return list(LABELS)

    def get_supported_languages(self) -> list[str]:
        """Return English."""
        return [LANGUAGE]


def _true_case(document: Document) -> str:
    """Return a text without capitals, or in nothing else, with capitals on what is no word: what models were trained on."""
    if not document.caseless:
        return document.text
    letters = list(document.text.lower())
    if len(letters) != len(document.text):
        return document.text
    for word in document.words:
        if not document.lexicon.is_word(word.low):
            letters[word.start] = letters[word.start].upper()
    return "".join(letters)


class RuleRecognizer(EntityRecognizer):  # type: ignore[misc]
    """One rule, or one family of rules, as a Presidio recogniser.

    Args:
        name: shown in Presidio's explanations.
        rule: yields spans of a document.
    """

    def __init__(self, name: str, rule: Callable[[Document], Iterable[Span]]) -> None:
        super().__init__(supported_entities=list(LABELS), name=name, supported_language=LANGUAGE)
        self._rule = rule

    def load(self) -> None:
        """Do nothing."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts) -> list[Any]:  # noqa: ARG002
        """Return the rule's spans as Presidio results."""
        return [
            RecognizerResult(span.label, span.start, span.end, span.score, recognition_metadata={"source": span.source})
            for span in self._rule(nlp_artifacts.document)
        ]


class ModelRecognizer(RuleRecognizer):
    """What language models take for names, where a word of it may be one. Asked only about texts in which that is open.

    A model alone eats findings (it takes eponyms and abbreviations for people and places), and where the rules have decided
    on every word that may be a name it can add nothing; then its time, most of a text's, is saved.

    Args:
        models: asked in turn; none: nothing is found.
    """

    def __init__(self, models: Sequence[NerModel]) -> None:
        super().__init__("language model", lambda _: ())
        self._models = models

    def suggest(self, document: Document, found: Sequence[Span]) -> list[Span]:
        """Return the names among the words that no rule covers."""
        if not self._models:
            return []
        covered = {index for span in found for index in range(span.start, span.end)}
        open_words = [word for word in document.words if word.start not in covered and _may_be_name(document, word)]
        if not open_words:
            return []
        text = _true_case(document)
        near = [word.start for word in open_words]
        suggested = [(start, end, label) for model in self._models for start, end, label in model.find(text, near)]
        return [
            Span(word.start, word.end, label, "model", 0.5)
            for word in open_words
            for start, end, label in suggested
            if start <= word.start and word.end <= end and _is_believed(document, word, label)
        ]


def _may_be_name(document: Document, word: Word) -> bool:
    """Tell whether a model may be believed that a word is a name."""
    lexicon = document.lexicon
    if word.length < 3 or not (word.capital or document.caseless) or document.is_protected(word.start, word.end):
        return False
    if lexicon.is_eponym(word.low) or word.low in STOP or lexicon.head.match(document.low, word.end):
        return False
    if word.upper and not document.all_upper and not lexicon.is_name(word.low):
        return False
    return lexicon.is_foreign(word.low) or _is_everyday_name(document, word)


def _is_everyday_name(document: Document, word: Word) -> bool:
    """Tell whether an everyday word has a capital that only a name explains: ``her son Max``."""
    if document.caseless or word.upper or document.starts_sentence(word) or word.low in MONTHS:
        return False
    return not document.lexicon.is_clinical(word.low)


def _is_believed(document: Document, word: Word, label: str) -> bool:
    if label == "CLINICIAN_NAME":
        return True
    return not document.lexicon.is_word(word.low) and document.lexicon.is_name(word.low)


def known_recognizer(person: KnownPerson) -> RuleRecognizer:
    """Return the recogniser of one patient, for one document (Presidio: ad hoc)."""
    return RuleRecognizer("known identifiers", person.find)


def standing_recognizers(site: Site, places: Places, staff: Staff) -> list[RuleRecognizer]:
    """Return the recognisers that are the same for all patients."""
    return [
        RuleRecognizer("formats", find_formats),
        RuleRecognizer("site formats", SiteFormats(site.identifiers).find),
        RuleRecognizer("people", find_people),
        RuleRecognizer("layout", find_laid_out),
        RuleRecognizer("staff", staff.find),
        RuleRecognizer("places", places.find),
        RuleRecognizer("foreign words", find_foreign),
        RuleRecognizer("name pairs", find_pairs),
    ]

"""Our rules as Presidio recognisers, so that a hospital can add its own to the same engine.

Presidio ships patterns for other countries and a context enhancer; none is loaded. Everything that a recogniser needs
about a text (``Document``) is worked out once and travels in the ``NlpArtifacts`` that the engine hands to each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from safelight.text.formats import SiteFormats, find_formats
from safelight.text.layout import find_laid_out
from safelight.text.people import find_people
from safelight.text.span import LABELS, Span
from safelight.text.sweep import find_foreign, find_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from safelight.text.document import Document
    from safelight.text.known import KnownPerson
    from safelight.text.lexicon import Lexicon
    from safelight.text.ner import NerModel
    from safelight.text.places import Places
    from safelight.text.site import Site
    from safelight.text.staff import Staff

LANGUAGE: Final = "en"


class Artifacts(NlpArtifacts):  # type: ignore[misc]
    """A document, and what language models found in it."""

    def __init__(self, document: Document, suggestions: Sequence[tuple[int, int, str]]) -> None:
        super().__init__([], None, [], [], None, LANGUAGE)
        self.document = document
        self.suggestions = suggestions


class Engine(NlpEngine):  # type: ignore[misc]
    """Presidio's place for a language model: builds the document and asks the models.

    Args:
        lexicon: which words are words.
        models: asked in turn; none: rules only.
    """

    def __init__(self, lexicon: Lexicon, models: Sequence[NerModel]) -> None:
        self._lexicon = lexicon
        self._models = models

    def load(self) -> None:
        """Do nothing: the models are loaded when they are made."""

    def is_loaded(self) -> bool:
        """Return True."""
        return True

    def process_text(self, text: str, language: str) -> Artifacts:  # noqa: ARG002
        """Return the document of a text."""
        from safelight.text.document import Document

        document = Document(text, self._lexicon)
        return Artifacts(document, [span for model in self._models for span in model.find(_true_case(document))])

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
    """What language models suggest, where the rules agree that it may be a name."""

    def __init__(self) -> None:
        super().__init__("language model", lambda _: ())

    def analyze(self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts) -> list[Any]:  # noqa: ARG002
        """Return the suggestions that survive."""
        document = nlp_artifacts.document
        return [
            RecognizerResult(label, first, last, 0.5, recognition_metadata={"source": "model"})
            for start, end, label in nlp_artifacts.suggestions
            for first, last in _believed(document, start, end, label)
        ]


def _believed(document: Document, start: int, end: int, label: str) -> Iterator[tuple[int, int]]:
    """Yield the part of a suggestion to believe: from its first to its last word that is no word of English or medicine."""
    lexicon = document.lexicon
    foreign = [
        word
        for word in document.words_between(start, end)
        if word.length > 2
        and (lexicon.is_foreign(word.low) if label == "CLINICIAN_NAME" else not lexicon.is_word(word.low))
        and not lexicon.is_eponym(word.low)
        and (not word.upper or document.all_upper or lexicon.is_name(word.low))
        and (word.capital or document.caseless)
        and not document.is_protected(word.start, word.end)
        and not lexicon.head.match(document.low, word.end)
    ]
    if foreign and (label == "CLINICIAN_NAME" or any(lexicon.is_name(word.low) for word in foreign)):
        yield foreign[0].start, foreign[-1].end


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
        ModelRecognizer(),
    ]

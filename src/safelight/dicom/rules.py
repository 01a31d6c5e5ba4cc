"""The DICOM part of a de-id profile: which elements come out, how, and what may stand in the pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from pydantic import BaseModel, ConfigDict, field_validator
from pydicom.datadict import keyword_dict

from safelight.dicom.address import Address, parse_address
from safelight.dicom.burned_in import BurnedInRules, parse_burned_in
from safelight.dicom.misfit import misfit
from safelight.dicom.standard import OPTIONS
from safelight.dicom.storage import class_kinds, expand_classes
from safelight.dicom.vocabulary import NAMES, Name, standard_words
from safelight.operation import Keep, Operation, Uid, parse_operation
from safelight.yamlfile import Key, YamlFile

Treatment = Literal["reject", "redact", "accept"]
_KEYS: Final = {
    "modalities", "sop_classes", "elements", "pixels", "options", "words", "vocabularies", "codes", "code_strings",
}  # fmt: skip
Choice = Literal["standard", "keep"]


class PixelPolicy(BaseModel):
    """What may stand in the pixels.

    ``burned_in``: what to do with an instance that may show text: one treatment, or one per modality with ``default``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    burned_in: dict[str, Treatment] = {"default": "reject"}

    @field_validator("burned_in", mode="before")
    @classmethod
    def _one_for_all(cls, value: Any) -> Any:  # noqa: ANN401  what a file holds
        if isinstance(value, str):
            return {"default": value}
        return {"default": "reject", **value} if isinstance(value, Mapping) else value

    def treatment(self, modality: str) -> Treatment:
        """Return what to do with an instance of this modality that may show text."""
        return self.burned_in.get(modality, self.burned_in["default"])


@dataclass(frozen=True)
class Rule:
    """One element's operation, and where the profile says so."""

    operation: Operation
    file: str = ""
    line: int | None = None


@dataclass(frozen=True)
class DicomRules:
    """Everything the engine needs to know; made by :func:`safelight.profile.load_profile`.

    Args:
        elements: the allow-list. An element that is not in it does not come out.
        modalities: allowed values of Modality; empty: all.
        sop_classes: UIDs of the storage classes that come out.
        pixels: burned-in text policy.
        burned_in: which instances may show text.
        words: words of the closed vocabulary that ``clean-text`` keeps in short texts, casefolded.
        codes: ``standard`` keeps coded entries of standard terminologies only; ``keep`` keeps all.
        code_strings: ``standard`` keeps code strings (CS) of known words only; ``keep`` keeps all that are legal.
        devices: words that devices write about themselves, beside ``words``, casefolded.
        terms: words of code strings, beside ``words``, casefolded.
        profile: name of the profile, for the stamps.
        fingerprint: SHA-256 of the resolved profile, for the stamps.
    """

    elements: Mapping[Address, Rule]
    sop_classes: frozenset[str]
    modalities: frozenset[str] = frozenset()
    pixels: PixelPolicy = field(default_factory=PixelPolicy)
    burned_in: BurnedInRules = field(default_factory=BurnedInRules)
    words: frozenset[str] = frozenset()
    codes: Choice = "keep"
    code_strings: Choice = "keep"
    devices: frozenset[str] = frozenset()
    terms: frozenset[str] = frozenset()
    profile: str = ""
    fingerprint: str = ""

    @property
    def cleans_text(self) -> bool:
        """Whether any rule asks for the report de-identifier."""
        return any(rule.operation.op == "clean-text" for rule in self.elements.values())

    def operation(self, address: Address) -> Operation | None:
        """Return the operation for an element, or None where it is not listed."""
        rule = self.elements.get(address)
        return rule.operation if rule else None

    def describe(self) -> dict[str, Any]:
        """Return the resolved rules as plain data, in a fixed order: what a reviewer reads and a fingerprint covers."""
        return {
            "modalities": sorted(self.modalities),
            "sop_classes": sorted(self.sop_classes),
            "elements": {
                str(address): self.elements[address].operation.model_dump(mode="json", exclude_defaults=False)
                for address in sorted(self.elements)
            },
            "pixels": self.pixels.model_dump(mode="json"),
            "burned_in": self.burned_in.describe(),
            "words": sorted(self.words),
            "codes": self.codes,
            "code_strings": self.code_strings,
            "vocabularies": {"devices": sorted(self.devices), "terms": sorted(self.terms)},
        }


@dataclass
class RulesBuilder:
    """Adds the ``dicom`` sections of a profile and of what it extends, in order; later wins."""

    elements: dict[Address, Rule] = field(default_factory=dict)
    modalities: frozenset[str] = frozenset()
    sop_classes: frozenset[str] = frozenset()
    pixels: dict[str, Any] = field(default_factory=dict)
    burned_in: BurnedInRules = field(default_factory=BurnedInRules)
    words: set[str] = field(default_factory=set)
    vocabularies: dict[Name, set[str]] = field(default_factory=lambda: {name: set(standard_words(name)) for name in NAMES})
    codes: Choice = "keep"
    code_strings: Choice = "keep"

    def add(self, file: YamlFile, section: Mapping[str, Any], at: Key) -> None:
        """Add one file's section, or refuse it with file and line."""
        for key in section:
            if key not in _KEYS:
                file.refuse(f"There is no setting '{key}'.", at=(*at, key), remedy=f"Use: {', '.join(sorted(_KEYS))}.")
        if "options" in section:
            self._add_options(file, section["options"], (*at, "options"))
        if "modalities" in section:
            self.modalities = frozenset(str(one) for one in _list(file, section["modalities"], (*at, "modalities")))
        if "sop_classes" in section:
            names = _list(file, section["sop_classes"], (*at, "sop_classes"))
            self.sop_classes = self._classes(file, names, (*at, "sop_classes"))
        if "pixels" in section:
            self.pixels.update(section["pixels"] or {})
        self.codes = _choice(file, section, "codes", at) or self.codes
        self.code_strings = _choice(file, section, "code_strings", at) or self.code_strings
        for word in _list(file, section.get("words") or [], (*at, "words")):
            self.words.add(str(word).casefold())
        self._add_vocabularies(file, section.get("vocabularies") or {}, (*at, "vocabularies"))
        for text, rule in (section.get("elements") or {}).items():
            self._add_element(file, str(text), rule, (*at, "elements", text))

    def add_burned_in(self, file: YamlFile) -> None:
        """Add the rules that say which instances may show text."""
        self.burned_in = self.burned_in.extended(parse_burned_in(file))

    def build(self, file: YamlFile, at: Key) -> DicomRules:
        """Return the rules."""
        policy = dict(self.pixels)
        pixels = file.validate(PixelPolicy, policy, at=(*at, "pixels"))
        return DicomRules(
            elements=dict(sorted({**_always(), **self.elements}.items())),
            sop_classes=self.sop_classes or expand_classes(["images"]),
            modalities=self.modalities,
            pixels=pixels,
            burned_in=self.burned_in,
            words=frozenset(self.words),
            codes=self.codes,
            code_strings=self.code_strings,
            devices=frozenset(self.vocabularies["devices"]),
            terms=frozenset(self.vocabularies["terms"]),
        )

    def _add_vocabularies(self, file: YamlFile, given: Any, at: Key) -> None:  # noqa: ANN401  what a YAML file holds
        if not isinstance(given, dict) or set(given) - set(NAMES):
            file.refuse("'vocabularies' has a name that there is not.", at=at, remedy=f"Use: {', '.join(NAMES)}.")
        for name in NAMES:
            self.vocabularies[name].update(str(word).casefold() for word in _list(file, given.get(name) or [], (*at, name)))

    def _add_element(self, file: YamlFile, text: str, rule: Any, at: Key) -> None:  # noqa: ANN401  what a YAML file holds
        address = parse_address(text)
        if address is None:
            file.refuse(
                f"'{text}' is not an element.",
                at=at,
                remedy='Give a keyword of PS3.6, (gggg,eeee), (60xx,eeee), or "(gggg,CREATOR,ee)" for a private element.',
            )
        operation = parse_operation(rule, file, at)
        if problem := misfit(address, operation):
            file.refuse(f"{text}: {problem[0]}", at=at, remedy=problem[1])
        self.elements[address] = Rule(operation, file.path.name, file.line(at))

    def _add_options(self, file: YamlFile, options: Any, at: Key) -> None:  # noqa: ANN401  what a YAML file holds
        from safelight.dicom.basic_profile import basic_rules

        chosen = [str(one) for one in _list(file, options, at)]
        for name in chosen:
            if name not in OPTIONS:
                file.refuse(f"There is no option '{name}'.", at=at, remedy=f"PS3.15 E.3 has: {', '.join(sorted(OPTIONS))}.")
        try:
            rules = basic_rules(chosen)
        except ValueError as error:
            file.refuse(str(error), at=at)
        for address, operation in rules.items():
            self.elements[address] = Rule(operation, file.path.name, file.line(at))

    def _classes(self, file: YamlFile, names: Sequence[str], at: Key) -> frozenset[str]:
        try:
            return expand_classes([str(name) for name in names])
        except ValueError as error:
            file.refuse(
                f"There is no storage class {error}.", at=at, remedy=f"Give its UID, or one of: {', '.join(class_kinds())}."
            )


def _choice(file: YamlFile, section: Mapping[str, Any], name: str, at: Key) -> Choice | None:
    if name in section and section[name] not in ("standard", "keep"):
        file.refuse(f"'{name}' is neither 'standard' nor 'keep'.", at=(*at, name))
    return cast("Choice | None", section.get(name))


def _list(file: YamlFile, value: Any, at: Key) -> Sequence[Any]:  # noqa: ANN401  what a YAML file holds
    if not isinstance(value, list):
        file.refuse("A list is needed here.", at=at)
    return value


def _always() -> dict[Address, Rule]:
    """Return the rules without which an output is no instance; a profile may say otherwise, but need not say it."""
    mapped = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    found = {Address(keyword_dict[keyword]): Rule(Uid()) for keyword in mapped}
    found[Address(keyword_dict["SpecificCharacterSet"])] = Rule(Keep())
    return found

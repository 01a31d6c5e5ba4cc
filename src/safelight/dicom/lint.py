"""What a reviewer should know of a profile: refusals at load, and warnings."""

from __future__ import annotations

from dataclasses import dataclass

from safelight.dicom.address import Address, keyword_of
from safelight.dicom.misfit import OWNED
from safelight.dicom.rules import DicomRules
from safelight.dicom.standard import attribute_types, confidentiality, storage_classes
from safelight.errors import ConfigurationError
from safelight.yamlfile import YamlFile


@dataclass(frozen=True)
class Warning:
    """One thing in a profile that a reviewer should look at."""

    element: str
    message: str
    file: str = ""
    line: int | None = None


def check_types(rules: DicomRules, file: YamlFile, *, all_classes: bool) -> None:
    """Refuse a profile that removes or empties an attribute which its storage classes must have (type 1).

    Args:
        rules: the resolved rules.
        file: the profile.
        all_classes: the profile names no storage classes, so it covers every image; then only what all of them must
            have is refused.

    Raises:
        ConfigurationError: with the file and line of the rule, and what is allowed.
    """
    named = sorted(sop_class for sop_class in rules.sop_classes if attribute_types(sop_class))
    needing: dict[int, list[str]] = {}
    for sop_class in named:
        for tag, kind in attribute_types(sop_class).items():
            if kind == "1" and keyword_of(tag) not in OWNED:
                needing.setdefault(tag, []).append(storage_classes()[sop_class])
    for tag, users in sorted(needing.items()):
        rule = rules.elements.get(Address(tag))
        if rule is None or rule.operation.op not in {"remove", "empty"} or (all_classes and len(users) < len(named)):
            continue
        raise ConfigurationError(
            f"{keyword_of(tag)} can't be taken away: {users[0]} must have it with a value.",
            remedy="Give a dummy: {op: fixed, value: ...}, or leave that storage class out of sop_classes.",
            file=rule.file or file.path.name,
            line=rule.line,
        )


def warnings(rules: DicomRules) -> list[Warning]:
    """Return what PS3.15 table E.1-1 would remove and the profile keeps without a reason."""
    table = confidentiality()
    found = []
    for address, rule in rules.elements.items():
        row = table.get(address.tag)
        operation = rule.operation
        private = bool(address.creator)
        if operation.op != "keep" or operation.reason or not (row or private):
            continue
        what = "is private" if private else f"would be removed ({row.action}) by the Basic Profile" if row else ""
        found.append(Warning(str(address), f"{what}; give a reason.", rule.file, rule.line))
    return found + _missing(rules)


def _missing(rules: DicomRules) -> list[Warning]:
    """Return attributes that a storage class of the profile must have (type 1) and that no rule lists."""
    found: dict[int, str] = {}
    for sop_class in sorted(rules.sop_classes):
        for tag, kind in attribute_types(sop_class).items():
            if kind == "1" and keyword_of(tag) not in OWNED and Address(tag) not in rules.elements:
                found.setdefault(tag, storage_classes()[sop_class])
    return [Warning(keyword_of(tag), f"is not listed, but {name} must have it.") for tag, name in sorted(found.items())]

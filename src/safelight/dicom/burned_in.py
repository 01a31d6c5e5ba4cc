"""Which instances may show text in their pixels: rules on header values, never trust in a header that says NO.

A rule file names conditions; an instance that meets all conditions of any rule may show text. Values are compared
without case; a list means any of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydicom.datadict import keyword_dict

from safelight.yamlfile import Key, YamlFile

#: The rules that every profile starts from.
STANDARD_RULES: Final = Path(__file__).with_name("standard") / "burned-in.yaml"
#: Elements that a rule may look at. All stand at the top level.
WATCHED: Final = frozenset(
    {
        "BurnedInAnnotation", "SOPClassUID", "Modality", "ImageType", "ConversionType", "Manufacturer",
        "ManufacturerModelName", "PhotometricInterpretation", "SamplesPerPixel", "SeriesDescription", "SeriesNumber",
        "SecondaryCaptureDeviceManufacturer", "Rows", "Columns", "RecognizableVisualFeatures", "StudyDescription",
    }
)  # fmt: skip


@dataclass(frozen=True)
class BurnedInRule:
    """One rule: its name, and per element the values or the pattern that meet it.

    ``equals``: any value of the element is in the set. ``matches``: the pattern is found in the element's text.
    ``present``: the element has any value.
    """

    name: str
    equals: tuple[tuple[str, frozenset[str]], ...] = ()
    matches: tuple[tuple[str, re.Pattern[str]], ...] = ()
    present: tuple[str, ...] = ()

    def applies(self, values: Mapping[str, str]) -> bool:
        """Tell whether an instance with these values (keyword to casefolded text) meets all conditions."""
        return (
            all(
                not wanted.isdisjoint(part.strip() for part in values.get(key, "").split("\\"))
                for key, wanted in self.equals
            )
            and all(pattern.search(values.get(key, "")) for key, pattern in self.matches)
            and all(values.get(key, "") for key in self.present)
        )


@dataclass(frozen=True)
class BurnedInRules:
    """All rules of a site; the first that applies decides."""

    rules: tuple[BurnedInRule, ...] = ()

    def extended(self, other: BurnedInRules) -> BurnedInRules:
        """Return these rules and the other's; a rule of the same name replaces the earlier one."""
        named = {rule.name: rule for rule in (*self.rules, *other.rules)}
        return BurnedInRules(tuple(named.values()))

    def first(self, values: Mapping[str, str]) -> str:
        """Return the name of the first rule that applies, or an empty text."""
        return next((rule.name for rule in self.rules if rule.applies(values)), "")

    def keywords(self) -> frozenset[str]:
        """Return the elements that any rule looks at."""
        return frozenset(
            keyword
            for rule in self.rules
            for keyword in (*(name for name, _ in rule.equals), *(name for name, _ in rule.matches), *rule.present)
        )

    def describe(self) -> list[dict[str, Any]]:
        """Return the rules as plain data."""
        return [
            {
                "name": rule.name,
                "equals": {key: sorted(values) for key, values in rule.equals},
                "matches": {key: pattern.pattern for key, pattern in rule.matches},
                "present": list(rule.present),
            }
            for rule in self.rules
        ]


def parse_burned_in(file: YamlFile) -> BurnedInRules:
    """Read a rule file: ``rules: [{name, equals: {keyword: [values]}, matches: {keyword: regex}, present: [keyword]}]``.

    Raises:
        ConfigurationError: with file and line.
    """
    listed = file.data.get("rules")
    if not isinstance(listed, list):
        file.refuse("A burned-in rule file holds a list 'rules'.")
    return BurnedInRules(tuple(_rule(file, one, ("rules", index)) for index, one in enumerate(listed)))


def _rule(file: YamlFile, rule: Any, at: Key) -> BurnedInRule:  # noqa: ANN401  what a YAML file holds
    if not isinstance(rule, dict) or not rule.get("name") or set(rule) - {"name", "why", "equals", "matches", "present"}:
        file.refuse("A rule has a name, and any of: why, equals, matches, present.", at=at)
    equals = rule.get("equals") or {}
    matches = rule.get("matches") or {}
    present = rule.get("present") or []
    if not (equals or matches or present):
        file.refuse("A rule without a condition would withhold everything.", at=at)
    for keyword in (*equals, *matches, *present):
        if keyword not in WATCHED or keyword not in keyword_dict:
            file.refuse(f"A rule can't look at '{keyword}'.", at=at, remedy=f"It may use: {', '.join(sorted(WATCHED))}.")
    patterns = []
    for keyword, pattern in matches.items():
        try:
            patterns.append((keyword, re.compile(str(pattern).casefold())))
        except re.error:
            file.refuse(f"The pattern for '{keyword}' is not a regular expression.", at=at)
    values = [
        (keyword, frozenset(str(value).casefold() for value in (wanted if isinstance(wanted, list) else [wanted])))
        for keyword, wanted in equals.items()
    ]
    return BurnedInRule(str(rule["name"]), tuple(values), tuple(patterns), tuple(present))

"""A de-id profile: one reviewed file for DICOM elements, record columns and report text."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from safelight.dicom.burned_in import STANDARD_RULES
from safelight.dicom.lint import check_types
from safelight.dicom.rules import DicomRules, RulesBuilder
from safelight.errors import ConfigurationError
from safelight.records.rules import RecordRules
from safelight.yamlfile import YamlFile, load_yaml

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*(?:/[a-z0-9][a-z0-9-]*)?")
_SECTIONS: Final = frozenset({"name", "standard", "extends", "title", "dicom", "records", "reports"})
_DATES: Final = ("shift", "redact")


@dataclass(frozen=True)
class DeidProfile:
    """One resolved profile: what it lists comes out as it says, everything else does not come out.

    Args:
        name: the profile's name.
        standard: edition of PS3.15 that its action codes refer to.
        dicom: rules on elements and pixels.
        records: rules on record columns.
        report_dates: whether dates in text are shifted with the images or redacted.
    """

    name: str
    standard: str
    dicom: DicomRules
    records: RecordRules
    report_dates: Literal["shift", "redact"]
    sections: Mapping[str, Any]

    def resolved(self) -> dict[str, Any]:
        """Return the resolved profile as plain data in a fixed order."""
        return {
            "name": self.name,
            "standard": self.standard,
            "dicom": self.dicom.describe(),
            "records": self.sections.get("records", {}),
            "reports": {"dates": self.report_dates},
        }

    def describe(self) -> str:
        """Return the resolved profile as YAML: every rule that applies, from whichever file. What a reviewer reads."""
        return yaml.safe_dump(_plain(self.resolved()), sort_keys=False, allow_unicode=True, width=120)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the resolved profile in canonical JSON, in hexadecimal: stamped on what it made."""
        return self.dicom.fingerprint


def profile_names(folder: Path) -> list[str]:
    """Return the names of all profiles in the folder that can be chosen (parts are for ``extends`` only)."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_profile(
    folder: Path, name: str, *, overrides: Mapping[str, Any] | None = None, shared: Path | None = None
) -> DeidProfile:
    """Load ``<folder>/<name>.yaml`` with what it extends, and what a project changes in it.

    ``extends`` names profiles or parts in the order in which they apply; later wins, the file itself and then the
    overrides last. What an extended profile itself extends counts too, but no deeper. What is not in ``folder`` is
    looked for in ``shared``.

    Raises:
        ConfigurationError: missing or wrong; with file, line and what is allowed.
    """
    places = Places(folder, shared)
    file = places.load(name)
    chain = [*_extended(places, file), file]
    if overrides:
        chain.append(YamlFile(Path(f"overrides-of-{name.replace('/', '-')}"), dict(overrides), {}))
    for one in chain:
        _check_sections(one)
    builder = RulesBuilder()
    rule_files = _rule_files(chain)
    for rule_name in rule_files:
        builder.add_burned_in(places.load_rules(rule_name, file))
    records: dict[str, Any] = {}
    dates = "shift"
    for one in chain:
        section = dict(_mapping(one, "dicom"))
        if isinstance(section.get("pixels"), dict):
            section["pixels"] = {key: value for key, value in section["pixels"].items() if key != "rules"}
        builder.add(one, section, ("dicom",))
        for table, columns in _mapping(one, "records").items():
            if not isinstance(columns, dict):
                one.refuse("A table holds a mapping of columns.", at=("records", table))
            records[table] = {**records.get(table, {}), **columns}
        dates = _mapping(one, "reports").get("dates", dates)
        if dates not in _DATES:
            one.refuse(f"Dates in reports are either {' or '.join(_DATES)}.", at=("reports", "dates"))
    rules = builder.build(file, ("dicom",))
    check_types(rules, file, all_classes=not builder.sop_classes)
    profile = DeidProfile(
        name=name,
        standard=str(file.data.get("standard", "")),
        dicom=rules,
        records=RecordRules.parse(file, records, ("records",)),
        report_dates="shift" if dates == "shift" else "redact",
        sections={"records": records},
    )
    text = json.dumps(profile.resolved(), sort_keys=True, separators=(",", ":"), default=str)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    return replace(profile, dicom=replace(rules, profile=name, fingerprint=fingerprint))


@dataclass(frozen=True)
class Places:
    """Where profiles, their parts and burned-in rule files are looked for: a folder, then a shared one."""

    folder: Path
    shared: Path | None = None

    def find(self, name: str) -> Path | None:
        """Return the file of that name, or None."""
        if not NAME.fullmatch(name):
            return None
        places = [self.folder, *([self.shared] if self.shared else [])]
        return next((path for place in places if (path := place / f"{name}.yaml").is_file()), None)

    def load(self, name: str) -> YamlFile:
        """Load a profile or part."""
        path = self.find(name)
        if path is None:
            here = ", ".join(profile_names(self.folder)) or "none"
            raise ConfigurationError("There is no de-id profile of that name.", remedy=f"Profiles here: {here}.")
        file = load_yaml(path)
        if file.data.get("name") != name:
            file.refuse(f"The name must be the file's, '{name}'.", at=("name",))
        return file

    def load_rules(self, name: str, file: YamlFile) -> YamlFile:
        """Load a burned-in rule file that a profile names."""
        path = STANDARD_RULES if name == "standard" else self.find(f"burned-in/{name}")
        if path is None:
            file.refuse("There is no burned-in rule file of that name.", at=("dicom", "pixels", "rules"))
        return load_yaml(path)


def _rule_files(chain: list[YamlFile]) -> list[str]:
    names: list[str] = ["standard"]
    for one in chain:
        pixels = _mapping(one, "dicom").get("pixels")
        listed = pixels.get("rules", []) if isinstance(pixels, dict) else []
        if not isinstance(listed, list):
            one.refuse("'rules' is a list of names of burned-in rule files.", at=("dicom", "pixels", "rules"))
        # The standard's rules always come first: a site extends them and cannot lose them by a slip.
        names.extend(str(name) for name in listed if name not in names)
    return names


def _extended(places: Places, file: YamlFile) -> list[YamlFile]:
    chain: dict[str, YamlFile] = {}
    for index, name in enumerate(_extends(file)):
        parent = _load_parent(places, str(name), file, index)
        for inner_index, inner in enumerate(_extends(parent)):
            grandparent = _load_parent(places, str(inner), parent, inner_index)
            if _extends(grandparent):
                parent.refuse(
                    "What is extended extends something that extends again.", at=("extends",), remedy="Flatten it."
                )
            chain.setdefault(str(inner), grandparent)
        chain.setdefault(str(name), parent)
    return list(chain.values())


def _load_parent(places: Places, name: str, file: YamlFile, index: int) -> YamlFile:
    if places.find(name) is None:
        file.refuse(f"It extends '{name}', which does not exist.", at=("extends", index))
    return places.load(name)


def _extends(file: YamlFile) -> list[str]:
    names = file.data.get("extends") or []
    if not isinstance(names, list):
        file.refuse("'extends' is a list of profiles.", at=("extends",))
    return names


def _check_sections(file: YamlFile) -> None:
    for key in file.data:
        if key not in _SECTIONS:
            file.refuse(f"There is no section '{key}'.", at=(key,), remedy=f"Use: {', '.join(sorted(_SECTIONS))}.")


def _mapping(file: YamlFile, section: str) -> dict[str, Any]:
    data = file.data.get(section) or {}
    if not isinstance(data, dict):
        file.refuse(f"'{section}' holds a mapping.", at=(section,))
    return data


def _plain(data: Any) -> Any:  # noqa: ANN401  any YAML value
    """Leave out what has its default, and write operations without arguments as one word."""
    if isinstance(data, dict):
        if "op" in data:
            said = {key: value for key, value in data.items() if value not in ("", None)}
            return said["op"] if set(said) == {"op"} else said
        return {key: _plain(value) for key, value in data.items()}
    return [_plain(value) for value in data] if isinstance(data, list) else data

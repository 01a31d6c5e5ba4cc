"""What one hospital adds: its name and those around it, its staff, its identifier formats, its words and phrases."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from safelight.errors import ConfigurationError
from safelight.text.span import LABELS
from safelight.yamlfile import load_yaml

if TYPE_CHECKING:
    from pathlib import Path


class StaffMember(BaseModel):
    """One member of staff, from the directory."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    title: str = ""
    given: str = ""
    surname: str = ""
    role: str = ""


class IdFormat(BaseModel):
    """A format of identifiers. Each example must match as a whole; each counter-example must not."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    label: str
    pattern: str
    examples: tuple[str, ...] = Field(min_length=1)
    not_examples: tuple[str, ...] = ()


class Directory(BaseModel):
    """``site.json``: hospitals and staff."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    home_hospital: str = ""
    home_aliases: tuple[str, ...] = ()
    hospitals: tuple[str, ...] = ()
    practices: tuple[str, ...] = ()
    wards: tuple[str, ...] = ()
    towns: tuple[str, ...] = ()
    staff: tuple[StaffMember, ...] = ()


class Additions(BaseModel):
    """``*.yaml`` beside it: what reviewers of the hospital wrote down."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    identifiers: tuple[IdFormat, ...] = ()
    words: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    hospitals: tuple[str, ...] = ()
    practices: tuple[str, ...] = ()
    wards: tuple[str, ...] = ()
    towns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Site:
    """A hospital's own knowledge. An empty one works: the general rules need none of it."""

    directory: Directory = field(default=Directory(), repr=False)
    additions: tuple[Additions, ...] = ()

    def values(self, name: str) -> list[str]:
        """Return the entries of one kind (hospitals, words, ...) from all files, without repeats."""
        found: dict[str, None] = {}
        for source in (self.directory, *self.additions):
            found.update(dict.fromkeys(getattr(source, name, ())))
        return list(found)

    @property
    def identifiers(self) -> list[IdFormat]:
        """Formats of identifiers from all files."""
        return [one for addition in self.additions for one in addition.identifiers]

    def fingerprint(self) -> str:
        """Return the SHA-256 of everything in it, in hexadecimal."""
        data = [self.directory.model_dump(mode="json"), *(a.model_dump(mode="json") for a in self.additions)]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def load_site(path: Path) -> Site:
    """Read a hospital's folder (``site.json`` and any ``*.yaml``) or its ``site.json`` alone.

    Raises:
        ConfigurationError: unreadable, wrong, or an identifier format that its examples contradict. No value is shown.
    """
    folder = path if path.is_dir() else None
    directory = _read_directory((path / "site.json") if folder else path, required=folder is None)
    additions = []
    for file_path in sorted(folder.glob("*.yaml")) if folder else []:
        file = load_yaml(file_path)
        addition = file.validate(Additions, file.data)
        for index, one in enumerate(addition.identifiers):
            if problem := _problem(one):
                file.refuse(problem, at=("identifiers", index))
        for index, phrase in enumerate(addition.phrases):
            if not _compiles(phrase):
                file.refuse("The phrase is no regular expression.", at=("phrases", index))
        additions.append(addition)
    return Site(directory, tuple(additions))


def _read_directory(path: Path, *, required: bool) -> Directory:
    if not required and not path.exists():
        return Directory()
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        return Directory.model_validate(data)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        message = f"The site's directory can't be read ({type(error).__name__})."
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        message = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}."
    raise ConfigurationError(message, remedy="It is a JSON object with home_hospital, hospitals and staff.", file=path.name)


def _problem(one: IdFormat) -> str:
    if one.label not in LABELS:
        return f"There is no label of that name; use one of: {', '.join(LABELS)}."
    if not _compiles(one.pattern):
        return "The pattern is no regular expression."
    pattern = re.compile(one.pattern, re.IGNORECASE)
    if not all(pattern.fullmatch(example) for example in one.examples):
        return "An example does not match its pattern."
    if any(pattern.fullmatch(example) for example in one.not_examples):
        return "A counter-example matches the pattern."
    return ""


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True

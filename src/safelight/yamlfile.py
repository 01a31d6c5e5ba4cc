"""YAML that remembers where each thing stood, so that an error can name file and line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from safelight.errors import ConfigurationError

Key = tuple[str | int, ...]
#: Written in C where that was built, and then ten times as fast.
_LOADER = yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader
T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class YamlFile:
    """One loaded YAML mapping and the line of every key in it."""

    path: Path
    data: dict[str, Any]
    lines: dict[Key, int]

    def line(self, key: Key) -> int | None:
        """Return the line of the key, or of the nearest thing around it."""
        while key:
            if key in self.lines:
                return self.lines[key]
            key = key[:-1]
        return 1

    def refuse(self, message: str, *, at: Key = (), remedy: str = "") -> NoReturn:
        """Raise the error that names this file and the line of ``at``."""
        raise ConfigurationError(message, remedy=remedy, file=self.path.name, line=self.line(at))

    def validate(self, model: type[T], data: Any, *, at: Key = ()) -> T:  # noqa: ANN401
        """Build the model from the data, or refuse with the line of the first thing wrong."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            self.refuse(
                f"{where or 'the file'}: {first['msg']}.", at=at + tuple(first["loc"]), remedy="See profiles/schema."
            )


def load_yaml(path: Path) -> YamlFile:
    """Read one YAML mapping.

    Raises:
        ConfigurationError: missing, unreadable, not YAML, not a mapping, or a key given twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The file can't be read ({type(error).__name__}).", file=path.name) from None
    lines: dict[Key, int] = {}
    try:
        loader = _LOADER(text)
        try:
            node = loader.get_single_node()
            _collect(path, node, (), lines)
            data = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigurationError(f"{problem}.", file=path.name, line=mark.line + 1 if mark else None) from None
    if not isinstance(data, dict):
        raise ConfigurationError("The file must hold a mapping.", file=path.name, line=1)
    return YamlFile(path, data, lines)


def _collect(path: Path, node: yaml.Node | None, key: Key, lines: dict[Key, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            here = (*key, name.value)
            if here in lines:
                raise ConfigurationError(
                    f"'{name.value}' is given twice (first in line {lines[here]}).",
                    remedy="Remove one of them.",
                    file=path.name,
                    line=name.start_mark.line + 1,
                )
            lines[here] = name.start_mark.line + 1
            _collect(path, value, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*key, index)
            lines[here] = value.start_mark.line + 1
            _collect(path, value, here, lines)

"""Load every de-id profile and hold every YAML file against its JSON schema, if it has one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from safelight.errors import SafelightError
from safelight.profile import load_profile

PROFILES = Path(__file__).resolve().parents[1] / "profiles"
#: Folder of YAML files -> the schema that editors use for them.
SCHEMAS = {"deid": "deid.schema.json", "projects": "project.schema.json"}


def main() -> None:
    """Say what is wrong in all files, and end with an error if anything is."""
    found = problems()
    for problem in found:
        print(problem)
    if found:
        sys.exit(1)


def problems(profiles: Path = PROFILES) -> list[str]:
    """What is wrong in the folder of profiles, one line each; nothing when all is in order."""
    return [*_profile_problems(profiles), *_schema_problems(profiles)]


def _profile_problems(profiles: Path) -> list[str]:
    found = []
    for path in sorted((profiles / "deid").glob("*.yaml")):
        try:
            load_profile(path.parent, path.stem)
        except SafelightError as error:
            found.append(f"{path.name}: {error}")
    return found


def _schema_problems(profiles: Path) -> list[str]:
    found = []
    for folder, name in SCHEMAS.items():
        path = profiles / "schema" / name
        if not path.exists():
            found.append(f"{path.name}: missing in profiles/schema")
            continue
        schema: dict[str, Any] = json.loads(path.read_text())
        validator = jsonschema.Draft202012Validator(schema)
        validator.check_schema(schema)
        for path in sorted((profiles / folder).glob("*.yaml")):
            # JSON has no dates: let them be what they are in the file, text.
            loaded = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
            found += [f"{path.name}: {error.json_path}: {error.message}" for error in validator.iter_errors(loaded)]
    return found


if __name__ == "__main__":
    main()

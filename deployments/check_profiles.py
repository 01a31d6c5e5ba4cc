"""Load every de-id profile and hold every YAML file against its JSON schema, if it has one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from safelight.profile import load_profile

from safelight.errors import SafelightError

PROFILES = Path(__file__).resolve().parents[1] / "profiles"
#: Folder of YAML files -> the schema that editors use for them.
SCHEMAS = {"deid": "deid.schema.json", "projects": "project.schema.json"}


def main() -> None:
    """Say what is wrong in all files, and end with an error if anything is."""
    problems = [*_profile_problems(), *_schema_problems()]
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)


def _profile_problems() -> list[str]:
    problems = []
    for path in sorted((PROFILES / "deid").glob("*.yaml")):
        try:
            load_profile(path.parent, path.stem)
        except SafelightError as error:
            problems.append(f"{path.name}: {error}")
    return problems


def _schema_problems() -> list[str]:
    problems = []
    for folder, name in SCHEMAS.items():
        path = PROFILES / "schema" / name
        if not path.exists():
            problems.append(f"{path.name}: missing in profiles/schema")
            continue
        schema: dict[str, Any] = json.loads(path.read_text())
        validator = jsonschema.Draft202012Validator(schema)
        validator.check_schema(schema)
        for path in sorted((PROFILES / folder).glob("*.yaml")):
            # JSON has no dates: let them be what they are in the file, text.
            loaded = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
            problems += [f"{path.name}: {error.json_path}: {error.message}" for error in validator.iter_errors(loaded)]
    return problems


if __name__ == "__main__":
    main()

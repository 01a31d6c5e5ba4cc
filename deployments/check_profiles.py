"""Load every de-id profile and hold every YAML file against its JSON schema.

``--write`` renews the schema of projects, which is made from the models; an editor completes and checks files with it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from safelight.errors import SafelightError
from safelight.profile import load_profile
from safelight.project import Project

PROFILES = Path(__file__).resolve().parents[1] / "profiles"
PROJECT_SCHEMA = "project.schema.json"
#: Folder of YAML files -> the schema that editors use for them.
SCHEMAS = {"deid": "deid.schema.json", "projects": PROJECT_SCHEMA}


def main() -> None:
    """Say what is wrong in all files, and end with an error if anything is."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--write", action="store_true", help="renew the schema of projects first")
    if parser.parse_args().write:
        (PROFILES / "schema" / PROJECT_SCHEMA).write_text(project_schema())
    found = problems()
    for problem in found:
        print(problem)
    if found:
        sys.exit(1)


def problems(profiles: Path = PROFILES) -> list[str]:
    """What is wrong in the folder of profiles, one line each; nothing when all is in order."""
    return [*_profile_problems(profiles), *_schema_problems(profiles)]


def project_schema() -> str:
    """The JSON schema of ``profiles/projects/*.yaml``, as the file in the repository must be."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Project.model_json_schema()}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


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
        schema_file = profiles / "schema" / name
        if not schema_file.exists():
            found.append(f"{name}: missing in profiles/schema")
            continue
        if name == PROJECT_SCHEMA and schema_file.read_text() != project_schema():
            found.append(f"{name}: not what the models say; type: .venv/bin/python -m deployments.check_profiles --write")
        schema: dict[str, Any] = json.loads(schema_file.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for path in sorted((profiles / folder).glob("*.yaml")):
            # JSON has no dates: let them be what they are in the file, text.
            loaded = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
            found += [f"{path.name}: {error.json_path}: {error.message}" for error in validator.iter_errors(loaded)]
    return found


if __name__ == "__main__":
    main()

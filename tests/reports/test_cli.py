"""``safelight reports``: as a person or a script uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from safelight.cli.main import main

PROFILES = Path(__file__).resolve().parents[2] / "profiles" / "deid"


@pytest.fixture
def place(tmp_path: Path, labelled: tuple[list[dict[str, Any]], dict[str, Any]]) -> Path:
    """A folder with a key, a salt, a site and 12 labelled reports."""
    (tmp_path / "key").write_bytes(bytes(range(64)))
    (tmp_path / "salt").write_bytes(bytes(range(16)))
    (tmp_path / "site.json").write_text(json.dumps(labelled[1]), encoding="utf-8")
    lines = [json.dumps(document, ensure_ascii=False) + "\n" for document in labelled[0][:12]]
    (tmp_path / "in.jsonl").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def safelight(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def deid(place: Path, *more: object, key: str = "key") -> Result:
    profile = sorted(PROFILES.glob("*.yaml"))[-1]
    options = ["--profile", profile, "--site", place / "site.json", "--key-file", place / key, "--salt-file", place / "salt"]
    return safelight("reports", "deid", place / "in.jsonl", place / "out.jsonl", *options, *more)


def test_reports_are_deidentified_and_scored(place: Path) -> None:
    for _ in range(2):
        result = deid(place, "--json")
        assert result.exit_code == 0, result.output
    tally = json.loads(result.output)
    assert (tally["documents"], tally["released"], tally["quarantined"]) == (12, 12, 0)
    lines = [json.loads(line) for line in (place / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == [f"c{number:05d}" for number in range(12)]
    assert {line["status"] for line in lines} == {"released"}
    scored = safelight("reports", "score", place / "out.jsonl", place / "in.jsonl", "--json")
    assert json.loads(scored.output)["recall_direct"]["percent"] >= 99
    assert "recall_direct" in safelight("reports", "score", place / "out.jsonl", place / "in.jsonl").output


def test_a_report_without_a_record_is_held(place: Path) -> None:
    with (place / "in.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"id": "x", "text": "Mrs Canary Smith was seen."}) + "\n")
    result = deid(place, "--ner", "none")
    assert result.exit_code == 1
    last = json.loads((place / "out.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert (last["id"], last["text"], last["status"], last["reason"]) == ("x", "", "quarantined", "no_patient_record")
    assert "Canary" not in result.output


def test_wrong_use_names_the_line_and_writes_nothing(place: Path) -> None:
    with (place / "in.jsonl").open("a", encoding="utf-8") as file:
        file.write("{'canary'}\n")
    result = deid(place, "--ner", "none")
    assert result.exit_code == 2
    assert "in.jsonl:13" in result.output
    assert "canary" not in result.output
    assert not (place / "out.jsonl").exists()
    assert not list(place.glob("*.part"))


def test_a_wrong_key_is_refused(place: Path) -> None:
    (place / "short").write_bytes(b"123")
    assert deid(place, key="short").exit_code == 2
    assert deid(place, key="absent").exit_code == 2


def test_validation_sample_and_verdicts(place: Path) -> None:
    profile = sorted(PROFILES.glob("*.yaml"))[-1]
    result = safelight(
        "reports", "validate", place / "in.jsonl", "--profile", profile, "--site", place / "site.json", "--records",
        place / "records", "--who", "IG lead", "--ner", "none", "--json",
    )  # fmt: skip
    assert result.exit_code == 1  # 12 labelled texts are too few
    assert json.loads(result.output)["failures"] == ["12 labelled texts; 100 are wanted"]
    assert deid(place, "--ner", "none").exit_code == 0
    assert safelight("reports", "sample", place / "out.jsonl", place / "review", "--size", 5).exit_code == 0
    verdicts = safelight("reports", "verdicts", place / "review" / "verdicts.csv", "--json")
    assert json.loads(verdicts.output)["unread"] == 5


@pytest.mark.parametrize("name", ["deid", "score", "validate", "sample", "verdicts"])
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    result = safelight("reports", name, "--help")
    assert result.exit_code == 0
    assert "Example: safelight reports" in " ".join(result.output.split())


WRONG = {
    "no JSON": ("{CANARY}", "in.jsonl:13: not a JSON object"),
    "no text": ('{"id": "CANARY"}', "in.jsonl:13: not a JSON object"),
    "an id that is none": ('{"id": {"CANARY": 1}, "text": "x"}', "in.jsonl:13: not a JSON object"),
    "too deep": ('{"id": ' + "[" * 100_000, "in.jsonl:13: not a JSON object"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_line_stops_the_run_and_says_which(place: Path, what: str) -> None:
    line, message = WRONG[what]
    with (place / "in.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    result = deid(place, "--ner", "none")
    assert result.exit_code != 0
    assert message in str(result.output or result.exception)
    assert "CANARY" not in result.output + str(result.exception)
    assert not (place / "out.jsonl").exists()


def test_the_input_is_never_overwritten(place: Path) -> None:
    before = (place / "in.jsonl").read_bytes()
    (place / "out.jsonl").symlink_to(place / "in.jsonl")
    result = deid(place)
    assert result.exit_code == 2
    assert "the input is not overwritten" in result.output
    assert (place / "in.jsonl").read_bytes() == before


def test_half_a_character_is_held_and_a_byte_order_mark_is_passed_over(place: Path) -> None:
    first = json.loads((place / "in.jsonl").read_text(encoding="utf-8").splitlines()[0])
    lines = [json.dumps({**first, "id": "half", "text": "x\ud800"}), json.dumps({**first, "id": "whole", "text": "x"})]
    (place / "in.jsonl").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    assert deid(place, "--ner", "none").exit_code == 1
    outputs = [json.loads(line) for line in (place / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(o["id"], o["status"], o.get("reason")) for o in outputs] == [
        ("half", "quarantined", "text_unreadable"),
        ("whole", "released", None),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"id": "a", "text": "x"}, "has no usable spans"),
        ({"id": "a", "text": "x", "spans": [{"start": 0, "end": 9, "label": "DOB"}]}, "has no usable spans"),
        ({"id": "a", "text": "x", "spans": [{"start": 0, "end": 1}]}, "no label"),
        ({"id": "c00000", "text": "x", "spans": []}, "an id comes twice"),
    ],
)
def test_a_set_that_is_not_labelled_can_not_be_scored(place: Path, line: dict[str, Any], message: str) -> None:
    with (place / "in.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    result = safelight("reports", "score", place / "in.jsonl", place / "in.jsonl")
    assert result.exit_code != 0
    assert message in result.output + str(result.exception)


def test_a_table_of_something_else_is_no_verdict(place: Path) -> None:
    result = safelight("reports", "verdicts", place / "in.jsonl")
    assert result.exit_code != 0
    assert "no table of verdicts" in result.output + str(result.exception)

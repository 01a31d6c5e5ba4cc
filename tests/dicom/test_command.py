"""``safelight dicom``: rehearse, verify, explain, lint."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from safelight.cli.main import main
from tests.dicom.conftest import PROFILES
from tests.dicom.encoding import text
from tests.dicom.hard import MARK, Maker, put
from tests.dicom.test_content import FINDING, report, typed


@dataclass
class Desk:
    """A folder with raw files, a key and a salt."""

    folder: Path
    maker: Maker

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["dicom", *arguments, "--profiles", str(PROFILES.parent)])

    def deid(self, *more: str, output: str = "out") -> Result:
        return self.run(
            "deid",
            str(self.folder / "raw"),
            str(self.folder / output),
            "--key-file",
            str(self.folder / "key"),
            "--salt-file",
            str(self.folder / "salt"),
            *more,
        )

    def files(self, output: str = "out") -> dict[str, bytes]:
        root = self.folder / output
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "key").write_bytes(bytes(range(64)))
    (tmp_path / "salt").write_bytes(bytes(range(16)))
    maker = Maker(random.Random("desk"))
    for place in range(5):
        path = tmp_path / "raw" / f"{MARK} Jones" / f"{place}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(maker.ct())
    return Desk(tmp_path, maker)


def test_json_accounts_for_every_file_without_naming_one(desk: Desk) -> None:
    (desk.folder / "raw" / "x.pdf").write_bytes(b"%PDF")
    result = desk.deid("--json", "--workers", "1")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert told["counts"] == {"not_dicom": 1, "written": 5}
    assert [row["file"] for row in told["files"]] == [1, 2, 3, 4, 5, 6]
    assert {row["path"] for row in told["files"] if row["path"]} == set(desk.files())
    assert all(row["kept"] > 20 and row["removed"] for row in told["files"] if row["outcome"] == "written")
    assert len(told["fingerprint"]) == 64
    assert MARK not in result.output


def test_pipes_and_links_to_nothing_are_accounted_for_and_hold_up_nothing(desk: Desk) -> None:
    os.mkfifo(desk.folder / "raw" / "pipe")
    (desk.folder / "raw" / "dangling").symlink_to(desk.folder / "nothing")
    told = json.loads(desk.deid("--json", "--workers", "1").stdout)
    assert told["counts"] == {"internal_error": 1, "not_dicom": 1, "written": 5}
    os.mkfifo(desk.folder / "out" / "pipe")
    result = CliRunner().invoke(main, ["dicom", "verify", str(desk.folder / "out"), "--json"])
    assert [one["code"] for one in json.loads(result.stdout)["findings"]] == ["unreadable"]


def test_workers_change_nothing_but_the_time(desk: Desk) -> None:
    twin = desk.maker.elements(**put(text(0x00080018, "UI", "1.2.3")))
    for name, more in (("a", twin), ("b", twin), ("c", [one for one in twin if one.tag != 0x00180060])):
        (desk.folder / "raw" / name).write_bytes(desk.maker.file(more))
    one, two = desk.deid("--json", "--workers", "1"), desk.deid("--json", "--workers", "2", output="two")
    assert json.loads(one.stdout)["counts"] == {"duplicate_instance": 1, "written": 7}
    assert one.stdout == two.stdout
    assert desk.files() == desk.files("two")
    assert desk.deid("--workers", "1").exit_code == 1
    assert desk.files() == desk.files("two")


def test_known_identifiers_keep_a_file_back_that_still_shows_them(desk: Desk) -> None:
    planted = desk.maker.ct(**put(text(0x00080070, "LO", "Zebulon Quartermain")))
    (desk.folder / "raw" / "planted").write_bytes(planted)
    known = desk.folder / "known.jsonl"
    known.write_text(json.dumps({"mrn": desk.maker.mrn, "given": "Zebulon", "surname": "Quartermain"}) + "\n")
    trusting = desk.folder / "trusting.yaml"
    trusting.write_text("name: trusting\nextends: [base]\ndicom:\n  elements: {Manufacturer: keep}\n")
    result = desk.deid("--json", "--workers", "1", "--known", str(known), "--profile", str(trusting))
    assert json.loads(result.stdout)["counts"] == {"residual_identifier": 1, "written": 5}
    assert all(b"Quartermain" not in data for data in desk.files().values())


def test_with_the_site_s_knowledge_a_finding_is_cleaned_as_a_report(desk: Desk) -> None:
    said = typed(FINDING, "Mr Quartermain: 5 mm focus, whorled, unchanged")
    report(desk.folder, said, maker=desk.maker).rename(desk.folder / "raw" / "report")
    known = desk.folder / "known.jsonl"
    known.write_text(json.dumps({"mrn": desk.maker.mrn, "given": "Zebulon", "surname": "Quartermain"}) + "\n")
    (desk.folder / "site").mkdir()
    for more, whorled in (((), False), (("--site", str(desk.folder / "site")), True)):
        for _ in range(2):
            result = desk.deid("--json", "--workers", "1", "--known", str(known), *more)
            assert json.loads(result.stdout)["counts"] == {"written": 6}
            assert any(b"5 mm focus, whorled, unchanged" in data for data in desk.files().values()) is whorled
            assert all(b"Quartermain" not in data for data in desk.files().values())


def test_verify_passes_what_we_made_and_finds_what_was_planted(desk: Desk) -> None:
    desk.deid("--workers", "1")
    folder = str(desk.folder / "out")
    assert CliRunner().invoke(main, ["dicom", "verify", folder]).exit_code == 0
    first = next((desk.folder / "out").rglob("*.dcm"))
    first.write_bytes(first.read_bytes() + b"Quartermain")
    result = CliRunner().invoke(main, ["dicom", "verify", folder, "--json"])
    assert result.exit_code == 1
    assert {one["code"] for one in json.loads(result.stdout)["findings"]} == {"trailing_bytes"}


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda data: b"Quartermain" + data[11:], "preamble"),
        (lambda data: data.replace(b"SAFELIGHT_1", b"QUARTERMAIN"), "identifier"),
        (lambda data: data.replace(b"\x12\0\x62\0CS\4\0YES ", b"\x12\0\x62\0CS\4\0NO  "), "stamp"),
        (lambda data: data.replace(b"Marconi ", b"Q\0u\0a\0r\0"), ""),
        (lambda data: data.replace(b"UI", b"XX"), "unreadable"),
        (lambda data: data[:-2], "trailing_bytes"),
    ],
)
def test_verify_sees_each_kind_of_damage(desk: Desk, damage: Callable[[bytes], bytes], code: str) -> None:
    desk.deid("--workers", "1")
    known = desk.folder / "known.jsonl"
    known.write_text('{"mrn": "x", "given": "Zebulon", "surname": "Quartermain"}\n')
    first = next((desk.folder / "out").rglob("*.dcm"))
    first.write_bytes(damage(first.read_bytes()))
    result = CliRunner().invoke(main, ["dicom", "verify", str(first), "--known", str(known), "--json"])
    found = {one["code"] for one in json.loads(result.stdout)["findings"]}
    assert (code in found) if code else not found
    assert "uartermain" not in result.output.casefold()


def test_explain_and_lint_speak_to_people_and_machines(desk: Desk) -> None:
    file = str(next((desk.folder / "raw").rglob("*.dcm")))
    assert "secure-hash" in desk.run("explain", file).output
    told = json.loads(desk.run("explain", file, "--json").stdout)
    assert {row["change"] for row in told["elements"]} >= {"kept", "changed", "removed"}
    assert MARK not in desk.run("explain", file, "--json").output
    assert desk.run("lint", "chest-xray").exit_code == 0
    assert json.loads(desk.run("lint", "base", "--json").stdout)["warnings"]


def test_a_profile_can_be_a_file_of_its_own(desk: Desk) -> None:
    mine = desk.folder / "mine.yaml"
    mine.write_text("name: mine\nextends: [base]\ndicom:\n  sop_classes: [ct-image]\n  elements: {KVP: keep}\n")
    assert json.loads(desk.deid("--json", "--workers", "1", "--profile", str(mine)).stdout)["profile"] == "mine"


@pytest.mark.parametrize(("name", "size", "said"), [("key", 63, "it must have 64"), ("salt", 17, "it must have 16")])
def test_a_wrong_key_stops_before_the_first_file(desk: Desk, name: str, size: int, said: str) -> None:
    (desk.folder / name).write_bytes(bytes(range(size)))
    result = desk.deid()
    assert result.exit_code == 2
    assert said in result.output
    assert not (desk.folder / "out").exists()


def test_an_unknown_profile_says_which_there_are(desk: Desk) -> None:
    result = desk.deid("--profile", "nope")
    assert result.exit_code == 2
    assert "research" in result.output

"""The opt-out answer: who is on it may be used; without a usable one nobody may."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from safelight.cohort import OptOutAnswer, read_opt_out_answer
from safelight.cohort.opt_out import is_nhs_number
from safelight.errors import OptOutUnavailable

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
#: From the NHS Data Dictionary's worked example and the documented test range 999.
VALID = ["9434765919", "9990000026", "9990000018"]


def answer(folder: Path, content: bytes, *, name: str = "a.dat", age: timedelta = timedelta(hours=1)) -> Path:
    path = folder / name
    path.write_bytes(content)
    at = (NOW - age).timestamp()
    os.utime(path, (at, at))
    return path


def read(folder: Path, max_age_days: int = 7) -> OptOutAnswer:
    return read_opt_out_answer(folder, max_age_days=max_age_days, now=NOW)


def listing(*numbers: str) -> bytes:
    return "".join(f"{number},\n" for number in numbers).encode()


def test_who_is_on_the_answer_may_be_used(tmp_path: Path) -> None:
    answer(tmp_path, listing(*VALID[:2]))
    found = read(tmp_path)
    assert [found.allowed(number) for number in VALID] == [True, True, False]
    assert found.allowed("943 476 5919")
    assert found.allowed("943-476-5919")
    assert not found.allowed("")
    assert found.answered_at == NOW - timedelta(hours=1)
    assert not any(number in repr(found) for number in VALID)


def test_the_newest_answer_counts(tmp_path: Path) -> None:
    answer(tmp_path, listing(VALID[0]), name="z.dat", age=timedelta(days=2))
    answer(tmp_path, listing(VALID[1]), name="a.DAT", age=timedelta(days=1))
    answer(tmp_path, listing(VALID[2]), name="b.txt", age=timedelta(0))
    answer(tmp_path, listing(VALID[2]), name=".part.dat", age=timedelta(0))
    (tmp_path / "folder.dat").mkdir()
    found = read(tmp_path)
    assert (found.file, [found.allowed(number) for number in VALID]) == ("a.DAT", [False, True, False])


def test_a_malformed_newest_answer_stops_even_when_an_older_one_is_whole(tmp_path: Path) -> None:
    answer(tmp_path, listing(VALID[0]), name="a.dat", age=timedelta(days=1))
    answer(tmp_path, b"oops", name="b.dat")
    with pytest.raises(OptOutUnavailable, match="line 1"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", 1),
        (b"\n", 1),
        (listing(VALID[0]) + b"\n", 2),
        (listing(VALID[0]) + b"9434765918,\n", 2),
        (listing(VALID[0]) + b"9434765919\n", 2),
        (listing(VALID[0], VALID[1]) + b"943476591,\n", 3),
        (listing(VALID[0]).replace(b"\n", b"\r\n"), 1),
        (b" " + listing(VALID[0]), 1),
        (b"\xef\xbb\xbf" + listing(VALID[0]), 1),
        (listing(VALID[0]) + b"9434765919,1,\n", 2),
        (listing(VALID[0]) + "\uff19434765919,\n".encode(), 2),
        (listing(VALID[0]) + b"94347", 2),
        (b"NHSNumber,\n" + listing(VALID[0]), 1),
    ],
)
def test_a_malformed_line_stops_and_is_named_by_its_number_only(tmp_path: Path, content: bytes, line: int) -> None:
    answer(tmp_path, content)
    with pytest.raises(OptOutUnavailable, match=f"line {line}\\.") as caught:
        read(tmp_path)
    assert "94347" not in str(caught.value)


def test_the_last_line_may_lack_its_end(tmp_path: Path) -> None:
    answer(tmp_path, listing(*VALID).rstrip(b"\n"))
    assert all(read(tmp_path).allowed(number) for number in VALID)


@pytest.mark.parametrize(
    ("age", "usable"),
    [
        (timedelta(days=7), True),
        (timedelta(days=7, seconds=1), False),
        (timedelta(days=-1), True),
        (timedelta(days=-1, seconds=-1), False),
        (timedelta(days=400), False),
    ],
)
def test_an_answer_too_old_or_from_the_future_stops(tmp_path: Path, age: timedelta, usable: bool) -> None:
    answer(tmp_path, listing(*VALID), age=age)
    if usable:
        assert read(tmp_path).allowed(VALID[0])
    else:
        with pytest.raises(OptOutUnavailable, match=r"days old|future"):
            read(tmp_path)


def test_the_age_is_the_projects_to_choose(tmp_path: Path) -> None:
    answer(tmp_path, listing(*VALID), age=timedelta(days=3))
    assert read(tmp_path, max_age_days=3).allowed(VALID[0])
    with pytest.raises(OptOutUnavailable, match="3 days old; at most 2"):
        read(tmp_path, max_age_days=2)


def test_no_answer_and_no_folder_stop(tmp_path: Path) -> None:
    with pytest.raises(OptOutUnavailable, match="no opt-out answer"):
        read(tmp_path)
    with pytest.raises(OptOutUnavailable, match="can't be read"):
        read(tmp_path / "nowhere")


def test_the_evidence_is_of_the_files_bytes(tmp_path: Path) -> None:
    answer(tmp_path, listing(VALID[0]))
    one = read(tmp_path).sha256
    assert read(tmp_path).sha256 == one
    answer(tmp_path, listing(VALID[1]))
    assert read(tmp_path).sha256 != one


def test_every_wrong_digit_is_noticed() -> None:
    for number in VALID:
        assert is_nhs_number(number)
        for index in range(10):
            wrong = [number[:index] + digit + number[index + 1 :] for digit in "0123456789" if digit != number[index]]
            assert not any(is_nhs_number(each) for each in wrong)


@pytest.mark.parametrize("text", ["", "943476591", "94347659190", "94347659I9", "\uff19434765919", "9876543211"])
def test_what_is_no_nhs_number(text: str) -> None:
    assert not is_nhs_number(text)

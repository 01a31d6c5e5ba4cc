"""A sample is the same for the same seed, shows nothing active, and its verdicts give an estimate with an interval."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from safelight.errors import ExtractInvalid
from safelight.reports.sampling import draw, estimate, stratum, write_sample


def outputs(count: int) -> list[dict[str, Any]]:
    found = [{"id": f"d{n}", "text": "word " * 200, "status": "released", "counts": {"DATE": n % 40}} for n in range(count)]
    return [*found, {"id": "held", "text": "", "status": "quarantined", "counts": {}}]


def test_the_same_seed_draws_the_same() -> None:
    one, two = draw(outputs(500), size=50, seed="1"), draw(reversed(outputs(500)), size=50, seed="1")
    assert one == two
    assert len(one.documents) == 50
    assert one != draw(outputs(500), size=50, seed="2")
    assert "held" not in {document["id"] for document, _ in one.documents}


def test_all_strata_are_read_and_all_are_counted() -> None:
    sample = draw(outputs(400), size=40, seed="1")
    assert {name for _, name in sample.documents} == {"few finds", "some finds", "many finds"}
    assert sum(sample.sizes.values()) == 400
    assert all(stratum(document) == name for document, name in sample.documents)


def test_fewer_than_asked_are_all_read() -> None:
    assert len(draw(outputs(7), size=50, seed="1").documents) == 7


def test_the_page_shows_text_and_marks_and_runs_nothing(tmp_path: Path) -> None:
    document = {
        "id": "<x>",
        "text": "<script>alert(1)</script> [PATIENT] & [CLINICIAN_1]",
        "status": "released",
        "counts": {},
    }
    write_sample(draw([document], size=5, seed="1"), tmp_path)
    page = (tmp_path / "review.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; <mark>[PATIENT]</mark> &amp; <mark>[CLINICIAN_1]</mark>" in page
    with pytest.raises(ExtractInvalid, match=r"verdicts\.csv already"):
        write_sample(draw([document], size=5, seed="1"), tmp_path)


def test_verdicts_are_weighted_by_stratum(tmp_path: Path) -> None:
    sample = draw(outputs(400), size=40, seed="1")
    write_sample(sample, tmp_path)
    with (tmp_path / "verdicts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    for number, row in enumerate(rows):
        row["verdict"] = "" if number == 0 else "leak" if row["stratum"] == "few finds" and number < 3 else "Clean"
    with (tmp_path / "verdicts.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    found = estimate(tmp_path / "verdicts.csv")
    few = sum(row["stratum"] == "few finds" for row in rows) - 1
    assert (found.read, found.leaks, found.unread) == (39, 2, 1)
    assert found.percent == pytest.approx(100 * sample.sizes["few finds"] / 400 * 2 / few, abs=0.01)
    assert 0 < found.low < found.percent < found.high < 100


def test_nothing_read_says_nothing(tmp_path: Path) -> None:
    write_sample(draw(outputs(20), size=5, seed="1"), tmp_path)
    found = estimate(tmp_path / "verdicts.csv")
    assert (found.read, found.unread, found.low, found.high) == (0, 5, 0, 100)


def test_a_wrong_verdict_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    path.write_text("id,stratum,stratum_size,verdict\na,few finds,3,maybe SMITH\n")
    with pytest.raises(ExtractInvalid, match=r"verdicts\.csv:2") as caught:
        estimate(path)
    assert "SMITH" not in str(caught.value)

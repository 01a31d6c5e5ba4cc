"""The lake against a dictionary: whatever is written in whatever order, both hold the same."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.release.lake import Lake
from tests.release.test_lake import NOW, PROJECT, row

#: Key, text, and the day of the delivery that it came with.
_Rows = list[tuple[str, str, int]]
_KEYS = st.sampled_from(["a", "b", "c'", 'd"', "é"])
_ROWS: st.SearchStrategy[_Rows] = st.lists(st.tuples(_KEYS, st.sampled_from(["x", "y", ""]), st.integers(0, 2)), max_size=6)


class Model:
    """The rules of a write in plain words: first of a key counts, unchanged stays, older never replaces newer."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, int]] = {}

    def write(self, rows: _Rows) -> tuple[int, int, int, int]:
        """Return inserted, updated, unchanged, duplicates."""
        counts = [0, 0, 0, 0]
        seen: set[str] = set()
        for key, text, day in rows:
            if key in seen:
                counts[3] += 1
                continue
            seen.add(key)
            if key not in self.rows:
                counts[0] += 1
            elif self.rows[key][0] != text and day >= self.rows[key][1]:
                counts[1] += 1
            else:
                counts[2] += 1
                continue
            self.rows[key] = (text, day)
        return counts[0], counts[1], counts[2], counts[3]


def _note(key: str, text: str, day: int) -> dict[str, Any]:
    return row("note", key, note_text=text, extract_datetime=NOW + timedelta(days=day))


@settings(max_examples=12)
@given(st.lists(_ROWS, min_size=1, max_size=4), st.integers(1, 3))
def test_the_lake_holds_what_the_model_holds(writes: list[_Rows], size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake, model = Lake(folder), Model()
        for rows in writes:
            batches = [[_note(*item) for item in rows[at : at + size]] for at in range(0, len(rows), size)]
            result = lake.write(PROJECT, "note", batches)
            assert (result.inserted, result.updated, result.unchanged, result.duplicates) == model.write(rows)
            stored = {item["note_id"]: item for item in lake.read(PROJECT, "note").to_pylist()}
            assert {key: item["note_text"] for key, item in stored.items()} == {k: v[0] for k, v in model.rows.items()}
            again = lake.write(PROJECT, "note", batches)
            assert (again.inserted, again.updated, again.version) == (0, 0, result.version)

"""Human review: a stratified sample of what would leave, as a page to read and a table for verdicts, and what follows.

The page shows de-identified text only. Which documents are drawn depends on their ids and the seed alone.
"""

from __future__ import annotations

import csv
import hashlib
import html
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from safelight.errors import ExtractInvalid
from safelight.reports.scoring import Rate, wilson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_PLACEHOLDER: Final = re.compile(r"\[[A-Z][A-Z0-9_]+\]")
_COLUMNS: Final = ("id", "stratum", "stratum_size", "verdict", "labels", "comment")
VERDICTS: Final = ("clean", "leak")
#: Texts with few finds may be those in which the rules saw nothing: they are read more often than their number asks for.
_STRATA: Final = (("few finds", 0.4), ("some finds", 0.3), ("many finds", 0.3))
_STYLE: Final = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}pre{white-space:pre-wrap;background:#f6f6f6;"
    "padding:1em;border-left:4px solid #999}mark{background:#ffe08a}h2{font-size:1em;margin:2em 0 .3em}"
)


def stratum(document: Mapping[str, Any]) -> str:
    """Return the stratum of a document: how much was found in it for its length."""
    found = sum(document.get("counts", {}).values())
    density = 1000 * found / max(len(document["text"]), 200)
    return "few finds" if density < 5 else "some finds" if density < 20 else "many finds"


@dataclass(frozen=True)
class Sample:
    """Documents to read, each with its stratum, and how many each stratum has."""

    documents: tuple[tuple[Mapping[str, Any], str], ...]
    sizes: Mapping[str, int]


def draw(outputs: Iterable[Mapping[str, Any]], *, size: int, seed: str) -> Sample:
    """Draw released documents: from each stratum its share, and what one has too few of from the next.

    Memory: the ``size`` best of each stratum, whatever the number of outputs.
    """
    sizes: Counter[str] = Counter()
    best: dict[str, list[tuple[bytes, Mapping[str, Any]]]] = {name: [] for name, _ in _STRATA}
    for document in outputs:
        if document.get("status") != "released":
            continue
        name = stratum(document)
        sizes[name] += 1
        ticket = hashlib.blake2b(f"{seed}\0{document['id']}".encode(), digest_size=16).digest()
        best[name].append((ticket, document))
        if len(best[name]) > 2 * size + 64:
            best[name] = sorted(best[name], key=lambda pair: pair[0])[:size]
    ordered = {name: [doc for _, doc in sorted(pairs, key=lambda pair: pair[0])] for name, pairs in best.items()}
    taken = {name: min(len(ordered[name]), round(size * share)) for name, share in _STRATA}
    for name, _ in _STRATA:
        taken[name] = min(len(ordered[name]), taken[name] + max(0, size - sum(taken.values())))
    documents = [(document, name) for name, _ in _STRATA for document in ordered[name][: taken[name]]]
    return Sample(tuple(documents), dict(sizes))


def write_sample(sample: Sample, folder: Path) -> None:
    """Write ``review.html`` and ``verdicts.csv``; a table that already has verdicts is never replaced.

    Raises:
        ExtractInvalid: the folder has a table of verdicts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "verdicts.csv"
    if table.exists():
        raise ExtractInvalid("The folder has a verdicts.csv already.", remedy="Give another folder.")
    (folder / "review.html").write_text(page(sample), encoding="utf-8")
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        for document, name in sample.documents:
            writer.writerow({"id": document["id"], "stratum": name, "stratum_size": sample.sizes[name]})


def page(sample: Sample) -> str:
    """Return the page: every document with its placeholders marked. Nothing in it runs or loads anything."""
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Review of de-identified texts</title>",
        f"<style>{_STYLE}</style><h1>Review of de-identified texts</h1>",
        "<p>Read each text for anything that tells who somebody is. Enter <b>clean</b> or <b>leak</b> in verdicts.csv, ",
        "for a leak the kind of identifier in <i>labels</i>. Do not copy an identifier into the table.</p>",
    ]
    for number, (document, name) in enumerate(sample.documents, 1):
        body = html.escape(str(document["text"]))
        marked = _PLACEHOLDER.sub(lambda match: f"<mark>{match.group()}</mark>", body)
        parts.append(f"<h2>{number}. {html.escape(str(document['id']))} ({html.escape(name)})</h2><pre>{marked}</pre>")
    return "\n".join(parts) + "</html>\n"


@dataclass(frozen=True)
class LeakEstimate:
    """What the verdicts say about all documents: share that leaks, in per cent, with a 95 % interval."""

    read: int
    leaks: int
    unread: int
    percent: float
    low: float
    high: float
    strata: dict[str, dict[str, Any]]


def estimate(table: Path) -> LeakEstimate:
    """Return the leak estimate that a table of verdicts gives, each stratum weighted by its size.

    The interval is Wilson's at the effective number of documents (the read ones, less what unequal weights cost; Kish 1965).

    Raises:
        ExtractInvalid: not such a table, or a verdict that is not clean or leak; names the line.
    """
    rates: dict[str, Rate] = {}
    sizes: dict[str, int] = {}
    unread = 0
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if not {"stratum", "stratum_size", "verdict"} <= set(rows.fieldnames or ()):
                raise ExtractInvalid(
                    f"{table.name} is no table of verdicts.", remedy="Give the verdicts.csv of 'safelight reports sample'."
                )
            for number, row in enumerate(rows, 2):
                verdict = (row.get("verdict") or "").strip().lower()
                name = row.get("stratum") or ""
                sizes[name] = int(row.get("stratum_size") or 0)
                if not verdict:
                    unread += 1
                elif verdict in VERDICTS:
                    rates.setdefault(name, Rate()).add(verdict == "leak")
                else:
                    raise ExtractInvalid(
                        f"{table.name}:{number}: the verdict is not 'clean' or 'leak'.", remedy="Correct it."
                    )
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ExtractInvalid(
            f"{table.name} can't be read ({type(error).__name__}).", remedy="Give the table of a sample."
        ) from None
    return _weighted(rates, sizes, unread)


def _weighted(rates: Mapping[str, Rate], sizes: Mapping[str, int], unread: int) -> LeakEstimate:
    whole = sum(sizes[name] for name in rates)
    weights = {name: sizes[name] / whole if whole else 0.0 for name in rates}
    share = sum(weights[name] * rate.hits / rate.total for name, rate in rates.items())
    read = sum(rate.total for rate in rates.values())
    per_document: Sequence[float] = [weights[n] / rate.total for n, rate in rates.items() for _ in range(rate.total)]
    effective = 1 / sum(weight * weight for weight in per_document) if per_document and whole else 0.0
    low, high = wilson(share, effective)
    return LeakEstimate(
        read=read,
        leaks=sum(rate.hits for rate in rates.values()),
        unread=unread,
        percent=round(100 * share, 2),
        low=round(100 * low, 2),
        high=round(100 * high, 2),
        strata={name: rate.as_json() | {"size": sizes[name]} for name, rate in sorted(rates.items())},
    )

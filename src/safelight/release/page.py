"""One document, as Markdown and as a self-contained HTML page with its plots as inline SVG: no script, nothing fetched."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_BAR: Final = 18
_GAP: Final = 6
_LABELS: Final = 240
_BARS: Final = 360
_STYLE: Final = """\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
table{border-collapse:collapse;margin:1rem 0}th,td{border-bottom:1px solid #c8c8c8;padding:.25rem .75rem}th{text-align:left}
th.n,td.n{text-align:right;font-variant-numeric:tabular-nums}
svg{max-width:100%;height:auto}svg text{font:13px system-ui,sans-serif}
"""


@dataclass(frozen=True)
class Section:
    """A heading with text, and a table whose first ``labels`` columns are words; ``plot`` is the column to draw."""

    title: str
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    labels: int = 1
    plot: str = ""

    @property
    def bars(self) -> list[tuple[str, int]]:
        """What the plot shows: label and number of each row; a number that is not shown has no bar."""
        at = self.columns.index(self.plot)
        return [
            (" / ".join(row[: self.labels]), int(row[at].replace(",", "")) if row[at][:1].isdigit() else 0)
            for row in self.rows
        ]


def as_markdown(title: str, sections: Sequence[Section]) -> str:
    """Return the document as Markdown (CommonMark with tables)."""
    parts = [f"# {_plain(title)}"]
    for section in sections:
        parts.append(f"## {_plain(section.title)}")
        if section.text:
            parts.append(section.text)
        if section.columns:
            ruler = [" --- " if number < section.labels else " ---: " for number in range(len(section.columns))]
            lines = [section.columns, *section.rows]
            table = ["| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines]
            parts.append("\n".join([table[0], "|" + "|".join(ruler) + "|", *table[1:]]))
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """Let nothing in a value be markup, or end its cell or line."""
    safe = " ".join(escape(text, quote=False).split())
    return "".join(f"\\{char}" if char in "\\`*[]|#" else char for char in safe)


def as_html(title: str, sections: Sequence[Section]) -> str:
    """Return the document as one HTML file. Its policy lets a browser load nothing and run nothing."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
    ]
    for section in sections:
        parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += [f"<p>{escape(paragraph)}</p>" for paragraph in section.text.split("\n\n") if paragraph]
        if section.plot and section.rows:
            parts.append(bar_chart(f"{section.title}: {section.plot}", section.bars))
        if section.columns:
            parts.append(_table(section))
    return "\n".join([*parts, "</body></html>", ""])


def _table(section: Section) -> str:
    opening = ["<td>" if number < section.labels else '<td class="n">' for number in range(len(section.columns))]
    heads = [tag.replace("<td", '<th scope="col"') for tag in opening]
    head = "".join(f"{tag}{escape(name)}</th>" for tag, name in zip(heads, section.columns, strict=True))
    body = "".join(
        "<tr>" + "".join(f"{tag}{escape(cell)}</td>" for tag, cell in zip(opening, row, strict=True)) + "</tr>"
        for row in section.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def bar_chart(title: str, bars: Sequence[tuple[str, int]]) -> str:
    """Return a chart of horizontal bars, drawn to scale from zero, as an SVG element.

    Args:
        title: what it shows, read out by screen readers.
        bars: label and number of each bar; 0 has none.
    """
    largest = max([number for _, number in bars] or [0]) or 1
    height = len(bars) * (_BAR + _GAP) + _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {_LABELS + _BARS + 80} {height}" '
        f'width="{_LABELS + _BARS + 80}" height="{height}"><title>{escape(title)}</title>'
    ]
    for place, (label, number) in enumerate(bars):
        top = _GAP + place * (_BAR + _GAP)
        middle = top + _BAR - 5
        shown = label if len(label) <= 34 else f"{label[:33]}…"
        parts.append(f'<text x="{_LABELS - 8}" y="{middle}" text-anchor="end">{escape(shown)}</text>')
        if number:
            width = round(number / largest * _BARS, 1)
            parts.append(f'<rect x="{_LABELS}" y="{top}" width="{width}" height="{_BAR}" fill="#2f6f9f"/>')
            parts.append(f'<text x="{_LABELS + width + 6}" y="{middle}">{number:,}</text>')
    return "".join([*parts, "</svg>"])

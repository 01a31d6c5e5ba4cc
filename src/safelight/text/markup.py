"""Text without markup, and the way back: HL7 escapes, RTF, HTML, composed letters.

HL7 escapes (v2.9 chapter 2.7) stand for single characters and line breaks, so they stay in the output where no name was
written across them. RTF and HTML can hide text (authors, comments, attributes), so only what they show is kept.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safelight.text.span import Span

_HL7: Final = re.compile(r"\\(\.[A-Za-z]{2}[+\-]?\d*|[HNFSTRE]|X[0-9A-Fa-f]{2,40}|[CM][0-9A-Fa-f]{4,6}|Z[^\\\n]{0,20})\\")
_HL7_CHARACTERS: Final = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\", "H": "", "N": ""}
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_MARKS: Final = re.compile("[\u0300-\u036f]")
_HTML: Final = re.compile(
    r"<(?:!doctype|html|body|head|div|p|br|span|table|b|i|u|font|pre|style|meta|h\d)\b[^>]*>", re.IGNORECASE
)
_BLOCKS: Final = re.compile(r"</?(?:br|p|div|tr|li|h\d|table|ul|ol|pre|hr)\b[^>]*>", re.IGNORECASE)
_HIDDEN: Final = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|head|title|template)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL
)
_RTF: Final = re.compile(
    r"\\'([0-9a-fA-F]{2})|\\u(-?\d+) ?\??|\\([a-z]+)(-?\d+)? ?|\\([^a-z])|([{}])|[\r\n]+|([^\\{}\r\n]+)"
)
#: RTF groups that hold no shown text ("destinations").
_RTF_HIDDEN: Final = frozenset(
    [
        "fonttbl",
        "colortbl",
        "stylesheet",
        "info",
        "pict",
        "object",
        "themedata",
        "colorschememapping",
        "latentstyles",
        "datastore",
        "generator",
        "header",
        "footer",
        "headerl",
        "headerr",
        "footerl",
        "footerr",
        "xmlnstbl",
        "listtable",
        "listoverridetable",
        "rsidtbl",
        "mmathPr",
        "filetbl",
        "revtbl",
        "author",
        "operator",
        "title",
        "subject",
        "keywords",
        "comment",
        "doccomm",
        "company",
        "manager",
        "bkmkstart",
        "bkmkend",
        "fldinst",
        "nonshppict",
        "annotation",
        "atnid",
        "atnauthor",
    ]
)


@dataclass(frozen=True)
class View:
    """A text to search. ``raw`` is what the output is made from; ``starts`` and ``ends`` lead from text to raw."""

    text: str
    raw: str
    starts: Sequence[int] | None = None
    ends: Sequence[int] | None = None

    def in_raw(self, span: Span) -> tuple[int, int]:
        """Return where a span of the text stands in raw."""
        if self.starts is None or self.ends is None:
            return span.start, span.end
        return self.starts[span.start], self.ends[span.end - 1]


def visible(text: str) -> str:
    """Return what RTF or HTML shows; other text as it is. NULs and lone carriage returns become blanks and line ends."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", " ")
    if text.lstrip().startswith("{\\rtf"):
        return _rtf(text)
    if _HTML.search(text):
        text = _BLOCKS.sub("\n", _HIDDEN.sub(" ", text))
        return html.unescape(re.sub(r"</?[A-Za-z!][^>]*>", "", text)).replace("\u00a0", " ")
    return html.unescape(text) if re.search(r"&(?:#\d+|#x[0-9a-fA-F]+|[a-z]+);", text) else text


def _rtf(text: str) -> str:
    out: list[str] = []
    hidden: list[bool] = [False]
    for match in _RTF.finditer(text):
        code, point, word, _, symbol, brace, plain = match.groups()
        if brace == "{":
            hidden.append(hidden[-1])
        elif brace == "}":
            if len(hidden) > 1:
                hidden.pop()
        elif word in _RTF_HIDDEN or symbol == "*":
            hidden[-1] = True
        elif hidden[-1]:
            continue
        elif code:
            out.append(bytes.fromhex(code).decode("cp1252", "replace"))
        elif point:
            out.append(chr(int(point) % 65536))
        elif word in {"par", "line", "row", "sect", "page"}:
            out.append("\n")
        elif word in {"tab", "cell"}:
            out.append("\t")
        elif word in {"lquote", "rquote"}:
            out.append("'")
        elif word in {"endash", "emdash"}:
            out.append("-")
        elif symbol in {"~", "_", "{", "}", "\\"}:
            out.append({"~": " ", "_": "-"}.get(symbol, symbol))
        elif plain:
            out.append(plain)
    return "".join(out)


def view(text: str) -> View:
    """Return the text to search: without markup, escapes decoded, letters composed. Plain text is returned as it is."""
    raw = visible(text)
    if not (_HL7.search(raw) or _INVISIBLE.search(raw) or _MARKS.search(raw)):
        return View(raw, raw)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []

    def put(shown: str, start: int, end: int) -> None:
        pieces.append(shown)
        starts.extend([start] * len(shown))
        ends.extend([end] * len(shown))

    position = 0
    while position < len(raw):
        if raw[position] == "\\" and (escape := _HL7.match(raw, position)):
            put(_shown(escape.group(1)), position, escape.end())
            position = escape.end()
            continue
        end = position + 1
        while end < len(raw) and (unicodedata.combining(raw[end]) or _INVISIBLE.match(raw, end)):
            end += 1
        composed = unicodedata.normalize("NFC", _INVISIBLE.sub("", raw[position:end]))
        put(composed, position, end)
        position = end
    return View("".join(pieces), raw, starts, ends)


def _shown(escape: str) -> str:
    if escape in _HL7_CHARACTERS:
        return _HL7_CHARACTERS[escape]
    if escape.startswith("X"):
        try:
            return bytes.fromhex(escape[1:]).decode("latin-1").replace("\r", "\n")
        except ValueError:
            return " "
    return "\n" if escape.lower().startswith((".br", ".sp", ".in", ".ti", ".ce")) else " "

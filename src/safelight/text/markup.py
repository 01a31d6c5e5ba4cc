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
#: No width, or no meaning in a text: names and numbers go on behind them.
_INVISIBLE: Final = re.compile("[\x01-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
#: A word broken at the end of a line.
_BROKEN: Final = re.compile(r"(?<=[^\W\d_])-[ \t]?\n[ \t]{0,8}(?=[a-z])")
_JSON: Final = re.compile(r"\\u([0-9A-Fa-f]{4})")
#: Two bytes of UTF-8 that were read as two letters of Windows-1252.
_MISREAD: Final = re.compile(
    "[\u00c2-\u00df][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
_MARKS: Final = re.compile("[\u0300-\u036f]")
_HTML: Final = re.compile(
    r"<(?:!doctype|html|body|head|div|p|br|span|table|b|i|u|font|pre|style|meta|h\d)\b[^>]*>", re.IGNORECASE
)
_BLOCKS: Final = re.compile(r"</?(?:br|p|div|tr|li|h\d|table|ul|ol|pre|hr)\b[^>]*>", re.IGNORECASE)
_HIDDEN: Final = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|head|title|template)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL
)
_ENTITY: Final = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z]+);")
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
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"(?<=\w)\0+(?=\w)", "", text).replace("\0", " ")
    text = _MISREAD.sub(_read_again, text)
    if text.lstrip().startswith("{\\rtf"):
        return _rtf(text)
    if _HTML.search(text):
        text = _BLOCKS.sub("\n", _HIDDEN.sub(" ", text))
        text = re.sub(r"</?[A-Za-z!][^>]*>", "", text)
    # Escaped twice on its way here, as often as not.
    for _ in range(3):
        if not _ENTITY.search(text):
            break
        text = html.unescape(text).replace("\u00a0", " ")
    return text


def _read_again(match: re.Match[str]) -> str:
    try:
        return b"".join(c.encode("cp1252" if c > "\xff" else "latin-1") for c in match.group()).decode("utf-8")
    except UnicodeError:
        return match.group()


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
    if not any(pattern.search(raw) for pattern in (_HL7, _INVISIBLE, _MARKS, _BROKEN, _JSON)):
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
        if raw[position] == "\\" and (escape := _JSON.match(raw, position)):
            put(chr(int(escape.group(1), 16)), position, escape.end())
            position = escape.end()
            continue
        if raw[position] == "-" and (broken := _BROKEN.match(raw, position)):
            position = broken.end()
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

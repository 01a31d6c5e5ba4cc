"""A text that is being written."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.text.corpus.words import FINDINGS


@dataclass
class Page:
    """A text under construction, with its marks."""

    text: str = ""
    spans: list[dict[str, Any]] = field(default_factory=list)
    keep: list[dict[str, Any]] = field(default_factory=list)

    def put(self, *parts: str | tuple[str, str]) -> Page:
        """Append plain text, and (label, text) as an identifier."""
        for part in parts:
            if isinstance(part, tuple):
                label, text = part
                self.spans.append({"start": len(self.text), "end": len(self.text) + len(text), "label": label, "text": text})
                self.text += text
            else:
                self.text += part
        return self

    def finding(self, rng: random.Random) -> Page:
        """Append one clinical sentence with its terms marked as to be kept."""
        sentences = FINDINGS.split("|")
        joined: list[str] = []
        for piece in sentences:  # a term's kind stands behind a bar, too
            if joined and joined[-1].count("{") > joined[-1].count("}"):
                joined[-1] += "|" + piece
            else:
                joined.append(piece)
        rest = rng.choice(joined)
        while "{" in rest:
            before, rest = rest.split("{", 1)
            term, rest = rest.split("}", 1)
            words, kind = term.split("|")
            self.text += before
            self.keep.append({"start": len(self.text), "end": len(self.text) + len(words), "kind": kind, "text": words})
            self.text += words
        self.text += rest + " "
        return self

    def cased(self, upper: bool) -> None:
        """Write everything in capitals, or in none; only where that keeps every character in its place."""
        text = self.text.upper() if upper else self.text.lower()
        if len(text) == len(self.text):
            self.text = text
            for mark in (*self.spans, *self.keep):
                mark["text"] = text[mark["start"] : mark["end"]]

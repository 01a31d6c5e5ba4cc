"""Labelled documents of a British hospital, invented, by another hand than the first corpus: what rules were not written for."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random
from typing import Any

from tests.text.second_corpus import names
from tests.text.second_corpus import sentences as said
from tests.text.second_corpus.writer import Case, Piece, assemble, person, transformed, wrapped

_SMART = str.maketrans({"'": "\u2019"})


def site(seed: int) -> dict[str, Any]:
    rng = Random(seed)
    staff = []
    for _ in range(60):
        p = person(rng, "Dr Dr Dr Mr Miss Prof", words=0.2)
        staff.append({"title": p.title, "given": p.given, "surname": p.surname, "role": rng.choice(names.ROLES)})
    return {
        "home_hospital": "Ashgrove General Hospital",
        "home_aliases": ["Ashgrove"],
        "hospitals": names.HOSPITALS[:14],
        "staff": staff,
    }


def document(seed: int, place: dict[str, Any]) -> dict[str, Any]:
    rng = Random(seed)
    case = Case(rng, place)
    exam = rng.choice(said.EXAMS)
    man = "man" if case.sex == "M" else "lady"

    def fill(template: str) -> list[Piece]:
        rel = rng.choice(said.RELATIONS)
        text = (
            template.replace("{exam}", exam)
            .replace("{man}", man)
            .replace("{rel_cap}", rel.capitalize())
            .replace("{rel}", rel)
        )
        return case.fill(text.replace("\\n", "\n"))

    letter = rng.random() < 0.3
    sentences: list[str] = [*rng.sample(said.CLINICAL, rng.randrange(4, 11)), *rng.sample(said.ADMIN, rng.randrange(2, 8))]
    rng.shuffle(sentences)
    pieces: list[Piece] = fill(rng.choice(said.LETTERS if letter else said.HEADERS))
    style = rng.randrange(3)
    for index, sentence in enumerate(sentences):
        if style == 0 and index % 4 == 0:
            pieces.append(Piece(("\n\n" if index else "\n") + rng.choice(said.SECTIONS) + "\n"))
        pieces += fill(sentence)
        pieces.append(Piece("\n" if style == 1 else " "))
    pieces += [Piece("\n\n"), *fill(rng.choice(said.SIGNATURES))]
    if rng.random() < 0.3:
        pieces += [Piece("\n"), *fill(rng.choice(said.CC))]
    if rng.random() < 0.15:
        pieces += [Piece("\n"), *fill(rng.choice(said.ADDENDA))]
    meta = []
    if rng.random() < 0.12:
        pieces = transformed(pieces, str.upper)
        meta.append("caps")
    elif rng.random() < 0.05:
        pieces = transformed(pieces, str.lower)
        meta.append("lower")
    if rng.random() < 0.2:
        pieces = transformed(pieces, lambda t: t.translate(_SMART))
        meta.append("smart")
    if rng.random() < 0.08:  # dictated without stops
        pieces = [p if p.label or p.kind else replace(p, text=re.sub(r"[.,;](?=\s|$)", "", p.text)) for p in pieces]
        meta.append("unpunctuated")
    if rng.random() < 0.1:
        pieces = transformed(pieces, lambda t: t.replace("\n", "\\.br\\"))
        meta.append("br")
    elif rng.random() < 0.05:
        pieces = transformed(pieces, lambda t: t.replace("\n", "\r\n"))
        meta.append("crlf")
    text, spans, keep = assemble(pieces)
    if rng.random() < 0.2:
        text = wrapped(text, rng.randrange(55, 90))
        meta.append("wrap")
        for one in [*spans, *keep]:
            one["text"] = text[one["start"] : one["end"]]
    return {"id": f"u{seed}", "text": text, "meta": meta, "patient": case.record(), "spans": spans, "keep": keep}


def second_corpus(count: int, *, seed: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return documents as labelled sets have them, and the hospital's ``site.json``."""
    place = site(seed)
    return [document(seed * 100_000 + i, place) for i in range(count)], place

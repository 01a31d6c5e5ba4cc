"""Invented reports with their identifiers marked: UK names of many origins, many layouts, drawn from a seed.

Numbers and addresses are in ranges that nobody has (NHS numbers 999..., Ofcom's telephone ranges for drama). Each document
is ``{id, text, patient, spans, keep}``, as labelled sets are.
"""

from __future__ import annotations

import random
from typing import Any

from tests.text.corpus.bodies import Bodies
from tests.text.corpus.headers import Headers
from tests.text.corpus.patient import Hospital
from tests.text.corpus.signatures import Signatures


def corpus(count: int, *, seed: int = 1) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return labelled documents and the site's directory."""
    hospital = Hospital(seed)
    return [
        Writer(random.Random(f"{seed}/{number}"), hospital).document(f"c{number:05d}") for number in range(count)
    ], hospital.directory()


class Writer(Headers, Bodies, Signatures):
    """Writes one document about one patient."""

    def document(self, name: str) -> dict[str, Any]:
        """Write one document."""
        rng, page = self.rng, self.page
        rng.choice(
            [self.header_block, self.header_line, self.header_pipe, self.header_hl7, self.header_short, self.header_caps]
        )()
        body = rng.choice([self.report, self.report, self.letter, self.nursing, self.emergency, self.meeting])
        body()
        if rng.random() < 0.75:
            rng.choice([self.signature, self.signature_line, self.signature_copy])()
        case = rng.random()
        if case < 0.08:
            page.cased(True)
        elif case < 0.11:
            page.cased(False)
        patient = {
            "title": self.title, "given": self.given, "middle": self.middle, "surname": self.surname, "previous_surname": self.previous, "dob": str(self.born), "mrn": self.mrn,
            "nhs_number": self.nhs, "accession": self.accession, "study_date": str(self.study), "phone": self.phone, "referrer": self.referrer, "hospital": self.hospital.name,
            "address": {"line1": self.street, "town": self.town, "postcode": self.postcode}, "gp": {"name": self.gp, "practice": self.practice},
        }  # fmt: skip
        return {"id": name, "text": page.text, "patient": patient, "spans": page.spans, "keep": page.keep}

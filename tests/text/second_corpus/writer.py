"""Writes one labelled document: sentences with places for identifiers, and what happens to them on their way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any

from tests.text.second_corpus import names
from tests.text.second_corpus.values import (
    address,
    misspelt,
    nhs_number,
    part_date,
    part_month,
    phone,
    plain,
    postcode,
    write_date,
    written_postcode,
)

_SLOT = re.compile(r"\{(\w+)\}|<([^<>]+)>")
_GIVEN = [(g, origin) for origin, lists in names.PEOPLE.items() for part in lists[:2] for g in part.split()]
_SURNAMES = [(s, origin) for origin, lists in names.PEOPLE.items() for s in lists[2].split()]


@dataclass(frozen=True)
class Person:
    title: str
    given: str
    surname: str
    middle: str = ""
    role: str = ""
    known: bool = False


@dataclass(frozen=True)
class Piece:
    """A stretch of a document; ``label`` for an identifier, ``kind`` for a term that must survive."""

    text: str
    label: str = ""
    kind: str = ""


def person(rng: Random, titles: str, *, words: float = 0.12) -> Person:
    """Draw a person; ``words``: how often a name is an everyday word."""
    origin = rng.choice(sorted(set(names.PEOPLE) - {"words"}))
    lists = names.PEOPLE[origin]
    given = rng.choice((lists[0] + " " + lists[1]).split())
    surname = rng.choice(lists[2].split())
    if rng.random() < 0.1:
        surname = rng.choice(_SURNAMES)[0]
    if rng.random() < words:
        surname = rng.choice(names.PEOPLE["words"][2].split())
    if rng.random() < words / 2:
        given = rng.choice(" ".join(names.PEOPLE["words"][:2]).split())
    if rng.random() < 0.06 and "-" not in surname:
        surname += "-" + rng.choice(_SURNAMES)[0].split("-")[0]
    middle = rng.choice(_GIVEN)[0] if rng.random() < 0.25 else ""
    return Person(rng.choice(titles.split()), given, surname, middle)


class Case:
    """One patient's visit: who and what may be written about it."""

    def __init__(self, rng: Random, site: dict[str, Any]) -> None:
        self.rng = rng
        self.site = site
        self.staff = [Person(s["title"], s["given"], s["surname"], role=s["role"], known=True) for s in site["staff"]]
        sex = rng.choice("MF")
        self.patient = person(rng, "Mr" if sex == "M" else "Mrs Miss Ms", words=0.25)
        self.previous = rng.choice(_SURNAMES)[0] if rng.random() < 0.3 else ""
        self.study = date(2016, 1, 1) + timedelta(days=rng.randrange(3600))
        self.dob = self.study - timedelta(days=rng.randrange(400, 34000))
        self.mrn = rng.choice(["{0}", "K{0}", "RXH{1}", "UH-{0}", "{1}Y", "MRN{0}", "P-{1}"]).format(
            rng.randrange(10**7, 10**8), rng.randrange(10**5, 10**6)
        )
        self.accession = rng.choice(["RXC{0}", "{1}-{2}", "CT-{3}-{2}", "X{0}", "{4}"]).format(
            rng.randrange(10**8, 10**9),
            f"{self.study:%y%m%d}",
            rng.randrange(1000, 9999),
            self.study.year,
            rng.randrange(10**9, 10**10),
        )
        self.nhs = nhs_number(rng)
        self.address, self.town, self.postcode, self.phone = address(rng), rng.choice(names.TOWNS), postcode(rng), phone(rng)
        self.gp = person(rng, "Dr")
        self.practice = self._practice()
        self.referrer = rng.choice(self.staff)
        self.sex = sex
        self.relative = self._relative()

    def _practice(self) -> str:
        return self.rng.choice(names.PRACTICES).format(
            t=self.rng.choice(names.TOWNS).replace("-", " "), s=self.rng.choice(_SURNAMES)[0]
        )

    def _relative(self) -> Person:
        other = person(self.rng, "Mr Mrs", words=0.2)
        return replace(other, surname=self.patient.surname) if self.rng.random() < 0.6 else other

    def record(self) -> dict[str, Any]:
        p = self.patient
        accents = self.rng.random() < 0.7
        return {
            "title": p.title, "given": p.given if accents else plain(p.given), "middle": p.middle,
            "surname": p.surname if accents else plain(p.surname), "previous_surname": self.previous, "sex": self.sex,
            "dob": self.dob.isoformat(), "mrn": self.mrn, "nhs_number": self.nhs, "accession": self.accession,
            "study_date": self.study.isoformat(), "address": {"line1": self.address, "town": self.town, "postcode": self.postcode},
            "phone": self.phone, "gp": {"name": f"Dr {self.gp.given} {self.gp.surname}", "practice": self.practice},
            "referrer": f"{self.referrer.title} {self.referrer.given} {self.referrer.surname}", "hospital": self.site["home_hospital"],
        }  # fmt: skip

    # -- places in sentences: each returns text or pieces -------------------------------------------------------------
    def clinician(self) -> Person:
        return (
            self.rng.choice(self.staff) if self.rng.random() < 0.55 else person(self.rng, "Dr Dr Dr Mr Miss Prof", words=0.2)
        )

    def slot(self, name: str) -> list[Piece]:
        value = getattr(self, f"slot_{name}")()
        return value if isinstance(value, list) else [value]

    def _patient(self, text: str) -> Piece:
        return Piece(text, "PATIENT_NAME")

    def slot_pt(self) -> list[Piece]:
        p = self.patient
        return [Piece(f"{p.title} "), self._patient(self.rng.choice([p.surname, p.surname, f"{p.given} {p.surname}"]))]

    def slot_pt_full(self) -> Piece:
        p = self.patient
        return self._patient(
            self.rng.choice(
                [f"{p.given} {p.surname}"] * 3
                + [f"{p.given} {p.middle} {p.surname}" if p.middle else f"{p.given} {p.surname}"]
            )
        )

    def slot_pt_rev(self) -> Piece:
        p = self.patient
        return self._patient(
            self.rng.choice(
                [
                    f"{p.surname.upper()}, {p.given}",
                    f"{p.surname}, {p.given}",
                    f"{p.surname.upper()} {p.given}",
                    f"{p.surname.upper()}, {p.given} {p.middle}".strip(),
                ]
            )
        )

    def slot_pt_caps(self) -> Piece:
        return self._patient(f"{self.patient.surname} {self.patient.given}".upper())

    def slot_pt_given(self) -> Piece:
        return self._patient(self.patient.given)

    def slot_pt_sur(self) -> Piece:
        return self._patient(self.patient.surname)

    def slot_pt_init(self) -> Piece:
        p = self.patient
        return self._patient(
            self.rng.choice([f"{p.given[0]} {p.surname}", f"{p.given[0]}. {p.surname}", f"{p.given[0]}.{p.surname}"])
        )

    def slot_pt_nick(self) -> Piece:
        return self._patient(names.SHORT.get(self.patient.given, self.patient.given))

    def slot_pt_prev(self) -> Piece:
        return self._patient(self.previous or self.patient.surname)

    def slot_pt_typo(self) -> list[Piece]:
        return [Piece(f"{self.patient.title} "), self._patient(misspelt(self.rng, self.patient.surname))]

    def slot_pt_hl7(self) -> Piece:
        return self._patient(f"{self.patient.surname}^{self.patient.given}".upper())

    def _clinician(self, text: str) -> Piece:
        return Piece(text, "CLINICIAN_NAME")

    def slot_c(self) -> list[Piece]:
        p = self.clinician()
        form = self.rng.randrange(9)
        title = Piece(f"{p.title}{self.rng.choice(['', '', '', '.'])} ")
        full, initial = f"{p.given} {p.surname}", f"{p.given[0]} {p.surname}"
        return [
            [title, self._clinician(p.surname)], [title, self._clinician(full)], [self._clinician(full)], [title, self._clinician(initial)],
            [self._clinician(f"{p.given[0]}. {p.surname}")], [title, self._clinician(p.surname)], [title, self._clinician(full)],
            [self._clinician(full), Piece(f", {p.role or self.rng.choice(names.ROLES)},")], [title, self._clinician(p.surname.upper())],
        ][form]  # fmt: skip

    def slot_c_title(self) -> list[Piece]:
        p = self.clinician()
        return [Piece(f"{p.title} "), self._clinician(self.rng.choice([p.surname, f"{p.given} {p.surname}"]))]

    def slot_c_full(self) -> Piece:
        p = self.clinician()
        return self._clinician(f"{p.given} {p.surname}")

    def slot_c_caps(self) -> Piece:
        p = self.clinician()
        return self._clinician(f"{p.given} {p.surname}".upper())

    def slot_c_sur(self) -> Piece:
        return self._clinician(self.clinician().surname)

    def slot_c_given(self) -> Piece:
        return self._clinician(self.clinician().given)

    def slot_c_init(self) -> Piece:
        p = self.clinician()
        return self._clinician(
            self.rng.choice([f"{p.given[0]} {p.surname}", f"{p.given[0]}. {p.surname}", f"{p.surname} {p.given[0]}"])
        )

    def slot_c_rev(self) -> Piece:
        p = self.clinician()
        return self._clinician(
            self.rng.choice([f"{p.surname.upper()}, {p.given}", f"{p.surname}, {p.given}", f"{p.surname.upper()} {p.given}"])
        )

    def slot_c_lower(self) -> Piece:
        return self._clinician(self.clinician().surname.lower())

    def slot_ini(self) -> Piece:
        p = self.clinician()
        text = "".join(part[0] for part in [p.given, *p.surname.split("-")])
        return Piece(plain(text) if self.rng.random() < 0.5 else plain(text).lower(), "INITIALS")

    def slot_ini_up(self) -> Piece:
        return replace(piece := self.slot_ini(), text=piece.text.upper())

    def slot_ref(self) -> list[Piece]:
        p = self.referrer
        return [Piece(f"{p.title} "), self._clinician(self.rng.choice([p.surname, f"{p.given} {p.surname}"]))]

    def slot_gp(self) -> list[Piece]:
        return [Piece("Dr "), self._clinician(self.rng.choice([self.gp.surname, f"{self.gp.given} {self.gp.surname}"]))]

    def slot_gp_full(self) -> list[Piece]:
        return [Piece("Dr "), self._clinician(f"{self.gp.given} {self.gp.surname}")]

    def slot_gp_sur(self) -> Piece:
        return self._clinician(self.gp.surname)

    def slot_practice(self) -> Piece:
        return Piece(self.practice, "GP_PRACTICE")

    def slot_r_given(self) -> Piece:
        return Piece(self.relative.given, "RELATIVE_NAME")

    def slot_r_full(self) -> Piece:
        return Piece(f"{self.relative.given} {self.relative.surname}", "RELATIVE_NAME")

    def slot_r_other(self) -> Piece:
        p = person(self.rng, "Mr", words=0.2)
        return Piece(self.rng.choice([p.given, f"{p.given} {p.surname}"]), "RELATIVE_NAME")

    def slot_date(self) -> Piece:
        return Piece(write_date(self.rng, self.study - timedelta(days=self.rng.randrange(3000))), "DATE")

    def slot_study(self) -> Piece:
        return Piece(write_date(self.rng, self.study), "DATE")

    def slot_dm(self) -> Piece:
        return Piece(part_date(self.rng, self.study - timedelta(days=self.rng.randrange(200))), "DATE")

    def slot_my(self) -> Piece:
        return Piece(part_month(self.rng, self.study - timedelta(days=self.rng.randrange(2000))), "DATE")

    def slot_dob(self) -> Piece:
        return Piece(write_date(self.rng, self.dob), "DOB")

    def slot_mrn(self) -> Piece:
        return Piece(self.rng.choice([self.mrn, self.mrn, self.mrn, self.mrn.lower()]), "MRN")

    def slot_nhs(self) -> Piece:
        n = self.nhs
        return Piece(self.rng.choice([n, f"{n[:3]} {n[3:6]} {n[6:]}", f"{n[:3]}-{n[3:6]}-{n[6:]}"]), "NHS_NO")

    def slot_acc(self) -> Piece:
        return Piece(self.accession, "ACCESSION")

    def slot_acc2(self) -> Piece:
        return Piece(f"RXC{self.rng.randrange(10**8, 10**9)}", "ACCESSION")

    def slot_gmc(self) -> Piece:
        return Piece(f"{self.rng.randrange(3_000_000, 8_000_000)}", "GMC")

    def slot_nmc(self) -> Piece:
        return Piece(
            f"{self.rng.randrange(10, 99)}{self.rng.choice('ABCDEFGHI')}{self.rng.randrange(1000, 9999)}{self.rng.choice('EOSWN')}",
            "GMC",
        )

    def slot_hcpc(self) -> Piece:
        return Piece(f"{self.rng.choice(['RA', 'PH', 'ODP'])}{self.rng.randrange(10000, 99999)}", "GMC")

    def slot_uid(self) -> Piece:
        return Piece(
            f"1.2.840.{self.rng.randrange(10**5, 10**6)}.{self.rng.randrange(10**8)}.{self.rng.randrange(10**5)}", "OTHER_ID"
        )

    def slot_path(self) -> Piece:
        return Piece(
            f"{self.rng.choice('HSC')}{self.rng.randrange(10, 26)}{self.rng.choice('/-')}{self.rng.randrange(10000, 99999)}",
            "OTHER_ID",
        )

    def slot_serial(self) -> Piece:
        return Piece(
            self.rng.choice(
                [
                    f"SN{self.rng.randrange(10**6, 10**7)}",
                    f"{self.rng.randrange(10**7, 10**8)}",
                    f"PJN{self.rng.randrange(10**5, 10**6)}H",
                ]
            ),
            "OTHER_ID",
        )

    def slot_plate(self) -> Piece:
        return Piece(
            f"{self.rng.choice(['LD', 'YK', 'GV', 'SB'])}{self.rng.randrange(10, 72)} {self.rng.choice(['XKP', 'ABJ', 'TZU'])}",
            "OTHER_ID",
        )

    def slot_nino(self) -> Piece:
        d = f"{self.rng.randrange(10**6):06d}"
        return Piece(self.rng.choice([f"QQ {d[:2]} {d[2:4]} {d[4:]} C", f"AB{d}D"]), "OTHER_ID")

    def slot_phone(self) -> Piece:
        return Piece(phone(self.rng), "PHONE")

    def slot_pt_phone(self) -> Piece:
        return Piece(self.phone, "PHONE")

    def slot_ext(self) -> Piece:
        return Piece(f"{self.rng.randrange(1000, 99999)}", "PHONE")

    def slot_bleep(self) -> Piece:
        return Piece(f"{self.rng.randrange(100, 9999):04d}", "BLEEP")

    def slot_email(self) -> Piece:
        p = self.clinician()
        local = plain(f"{p.given}.{p.surname}".lower().replace("'", ""))
        return Piece(
            f"{local}{self.rng.choice(['', '2'])}@{self.rng.choice(['nhs.net', 'fairview.example.nhs.uk', 'wales.nhs.uk'])}",
            "EMAIL",
        )

    def slot_home(self) -> Piece:
        return Piece(self.site["home_hospital"], "HOSPITAL")

    def slot_hosp(self) -> Piece:
        return Piece(self.rng.choice([*self.site["hospitals"], *names.HOSPITALS]), "HOSPITAL")

    def slot_ward(self) -> Piece:
        return Piece(self.rng.choice(names.WARDS), "WARD")

    def slot_town(self) -> Piece:
        return Piece(self.rng.choice(names.TOWNS).replace("-", " "), "TOWN")

    def slot_pt_town(self) -> Piece:
        return Piece(self.town, "TOWN")

    def slot_addr(self) -> Piece:
        return Piece(self.address, "ADDRESS")

    def slot_addr2(self) -> Piece:
        return Piece(address(self.rng), "ADDRESS")

    def slot_pc(self) -> Piece:
        return Piece(written_postcode(self.rng, self.postcode), "POSTCODE")

    def slot_pc2(self) -> Piece:
        return Piece(written_postcode(self.rng, postcode(self.rng)), "POSTCODE")

    def slot_age90(self) -> Piece:
        return Piece(str(self.rng.randrange(90, 104)), "AGE90")

    def slot_t(self) -> Piece:
        return Piece(f"{self.rng.randrange(24):02d}:{self.rng.randrange(60):02d}")

    def slot_role(self) -> Piece:
        return Piece(self.rng.choice(names.ROLES))

    def slot_title(self) -> Piece:
        return Piece(self.patient.title)

    def slot_sex(self) -> Piece:
        return Piece(self.sex)

    def fill(self, template: str) -> list[Piece]:
        """Return the pieces of a template: ``{slot}`` an identifier, ``<text>`` a term that must survive."""
        pieces: list[Piece] = []
        position = 0
        for match in _SLOT.finditer(template):
            pieces.append(Piece(template[position : match.start()]))
            if match[1]:
                pieces.extend(self.slot(match[1]))
            else:
                pieces.append(Piece(match[2], kind="clinical"))
            position = match.end()
        pieces.append(Piece(template[position:]))
        return [piece for piece in pieces if piece.text]


def transformed(pieces: list[Piece], change: Callable[[str], str]) -> list[Piece]:
    return [replace(piece, text=change(piece.text)) for piece in pieces]


def assemble(pieces: list[Piece]) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    text, spans, keep = "", [], []
    for piece in pieces:
        start = len(text)
        text += piece.text
        entry = {"start": start, "end": len(text), "text": piece.text}
        if piece.label:
            spans.append(entry | {"label": piece.label})
        elif piece.kind:
            keep.append(entry | {"kind": piece.kind})
    return text, spans, keep


def wrapped(text: str, width: int) -> str:
    """Break lines at blanks, each character keeping its place."""
    out, last, column = list(text), -1, 0
    for index, c in enumerate(text):
        column = 0 if c == "\n" else column + 1
        if c == "\n":
            last = -1
        elif c == " ":
            last = index
        if column > width and last > 0:
            out[last] = "\n"
            column, last = index - last, -1
    return "".join(out)

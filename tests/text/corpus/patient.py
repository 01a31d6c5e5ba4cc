"""Whom a text is about, and where it was written."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

from tests.text.corpus.page import Page
from tests.text.corpus.words import (
    AREAS,
    ENDINGS,
    GIVEN,
    HOSPITALS,
    MONTHS,
    OTHER_HOSPITALS,
    PRACTICES,
    STREETS,
    SURNAMES,
    TOWNS,
)


class Hospital:
    """An invented hospital with a staff directory."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(f"hospital {seed}")
        self.name = rng.choice(HOSPITALS)
        self.staff = [
            (
                rng.choice(["Dr", "Dr", "Mr", "Miss", "Prof"]),
                rng.choice(GIVEN),
                rng.choice(SURNAMES).replace("-", " ") if rng.random() < 0.02 else rng.choice(SURNAMES),
            )
            for _ in range(50)
        ]

    def directory(self) -> dict[str, Any]:
        """Return it as ``site.json`` has it."""
        return {
            "home_hospital": self.name,
            "home_aliases": [self.name.replace(" Hospital", "")],
            "hospitals": OTHER_HOSPITALS[:3],
            "staff": [{"title": t, "given": g, "surname": s, "role": "Consultant Radiologist"} for t, g, s in self.staff],
        }


class Patient:
    """One patient of a hospital, and how staff write what belongs to them."""

    def __init__(self, rng: random.Random, hospital: Hospital) -> None:
        self.rng, self.hospital = rng, hospital
        self.page = Page()
        pick = rng.choice
        self.given, self.surname = pick(GIVEN), pick(SURNAMES)
        self.middle = pick(GIVEN) if rng.random() < 0.2 else ""
        self.previous = pick(SURNAMES) if rng.random() < 0.3 else ""
        self.title = pick(["Mr", "Mrs", "Ms", "Miss", "Master"])
        self.study = date(2016, 1, 1) + timedelta(days=rng.randrange(3300))
        self.born = self.study - timedelta(days=rng.randrange(30, 36000))
        self.mrn = pick(
            [
                f"{rng.randrange(10**7, 10**8)}",
                f"NGH{rng.randrange(10**5, 10**6)}",
                f"{rng.randrange(10**5, 10**6)}{pick('ABXZ')}",
                f"K{rng.randrange(10**6, 10**7)}",
                f"MRN-{rng.randrange(10**6, 10**7)}",
            ]
        )
        self.nhs = f"999{rng.randrange(10**6, 10**7)}"
        self.accession = pick(
            [
                f"NG{rng.randrange(10**9, 10**10)}",
                f"{self.study:%y%m%d}-{rng.randrange(1000, 9999)}",
                f"CT-{self.study.year}-{rng.randrange(10**5, 10**6)}",
                f"X{rng.randrange(10**7, 10**8)}",
                f"AB1-{self.study:%y}-{rng.randrange(10**6, 10**7)}",
            ]
        )
        self.street, self.town, self.postcode = self.address(), pick(TOWNS).replace("\u00a0", " "), self.code()
        self.phone = self.telephone()
        self.gp, self.practice = f"Dr {self.person()}", pick(PRACTICES).format(pick(STREETS))
        self.referrer = " ".join(pick(hospital.staff))

    def address(self) -> str:
        rng = self.rng
        flat = f"Flat {rng.randrange(1, 40)}, " if rng.random() < 0.2 else ""
        return (
            f"{flat}{rng.randrange(1, 240)}{rng.choice(['', '', '', 'A', 'b'])} {rng.choice(STREETS)} {rng.choice(ENDINGS)}"
        )

    def code(self) -> str:
        rng = self.rng
        text = f"{rng.choice(AREAS)}{rng.randrange(1, 29)}{rng.choice(['', ' ', ' ', '  '])}{rng.randrange(0, 9)}{rng.choice('ABDEFGHJLNPQRSTUWXYZ')}{rng.choice('ABDEFGHJLNPQRSTUWXYZ')}"
        return text.lower() if rng.random() < 0.15 else text

    def telephone(self) -> str:
        number = (
            f"07700 900{self.rng.randrange(1000):03d}"
            if self.rng.random() < 0.5
            else f"0{self.rng.choice(['113', '121', '131', '161'])} 496 0{self.rng.randrange(1000):03d}"
        )
        return self.rng.choice([number, number.replace(" ", ""), number.replace(" ", "-"), "+44 (0)" + number[1:]])

    def person(self) -> str:
        return f"{self.rng.choice(GIVEN)} {self.rng.choice(SURNAMES)}"

    def colleague(self) -> str:
        return " ".join(self.rng.choice(self.hospital.staff)[1:]) if self.rng.random() < 0.6 else self.person()

    def colleague_surname(self) -> str:
        return self.rng.choice(self.hospital.staff)[2] if self.rng.random() < 0.6 else self.rng.choice(SURNAMES)

    def day(self, value: date | None = None) -> str:
        """Return a date in one of many ways."""
        d = value or self.study - timedelta(days=self.rng.randrange(1, 2500))
        name, short = MONTHS[d.month - 1], MONTHS[d.month - 1][:3]
        ordinal = "th" if 10 < d.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(d.day % 10, "th")
        return self.rng.choice([
            f"{d:%d/%m/%Y}", f"{d.day}/{d.month}/{d:%y}", f"{d:%d.%m.%y}", f"{d:%d-%m-%Y}", f"{d.day} {name} {d.year}", f"{d.day}{ordinal} {name} {d.year}",
            f"{d:%Y-%m-%d}", f"{d.day} {short} {d:%y}", f"{d:%d}-{short}-{d.year}", f"{d.day}{ordinal} of {name}, {d.year}", f"{name} {d.day}, {d.year}", f"{d:%Y%m%d}",
            f"{d:%d}{short.upper()}{d.year}", f"{d:%A} {d.day} {name} {d.year}",
        ])  # fmt: skip

    def number(self) -> str:
        n = self.nhs
        return self.rng.choice([n, f"{n[:3]} {n[3:6]} {n[6:]}", f"{n[:3]}-{n[3:6]}-{n[6:]}"])

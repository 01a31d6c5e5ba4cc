"""Who the demo hospital knows: patients, staff and sites, drawn from a seed.

Everybody is invented. Names are uncommon on purpose, so that a search for them in an output has no false hits.
NHS numbers have a valid check digit and lie in the range 999 that the NHS reserves for testing; telephone numbers lie
in the ranges that Ofcom reserves for drama.
"""

from __future__ import annotations

import random
import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

PATIENTS: Final = 40
HOSPITAL: Final = "Saltmarsh General Hospital"
HOSPITAL_ALIASES: Final = ("Saltmarsh General", "Saltmarsh")
HOSPITAL_ADDRESS: Final = "Quillfeather Way, Llanfairfechan LL33 9QX"
DEPARTMENT: Final = "Thackeray Wing Radiology"
OTHER_HOSPITALS: Final = (
    "Withybrook District Hospital",
    "Royal Pennyquick Infirmary",
    "St Osyth's Hospital",
    "Ravensglass Cottage Hospital",
)
_ROLES: Final = (
    "Consultant Radiologist",
    "Consultant Musculoskeletal Radiologist",
    "Consultant Neuroradiologist",
    "ST4 Radiology",
    "Reporting Radiographer",
)
#: Patients whose age in years is not drawn: one whose age alone would identify, and a child.
_AGES: Final = {9: 94, 23: 8}
_NAMES: Final = tomllib.loads((Path(__file__).parent / "names.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Clinician:
    """One member of staff, as the staff directory has them."""

    title: str
    given: str
    surname: str
    role: str

    @property
    def spoken(self) -> str:
        """Title and name, as a report has it."""
        return f"{self.title} {self.given} {self.surname}"

    @property
    def person_name(self) -> str:
        """The name as a PN value (PS3.5 section 6.2.1)."""
        return f"{self.surname}^{self.given}^^{self.title}"


@dataclass(frozen=True)
class Patient:
    """One patient.

    ``recorded``: patients.jsonl knows them; ``numbered``: with their NHS number; ``opted_in``: the opt-out answer has it.
    """

    person_id: int
    mrn: str
    nhs_number: str
    title: str
    given: str
    middle: str
    surname: str
    previous_surname: str
    preferred: str
    sex: str
    dob: date
    street: str
    town: str
    postcode: str
    phone: str
    mobile: str
    gp: Clinician
    practice: str
    referrer: Clinician
    other_id: str
    recorded: bool = True
    opted_in: bool = True
    numbered: bool = True

    @property
    def spoken(self) -> str:
        """Title and name, as a report has it."""
        return f"{self.title} {self.given} {self.surname}"

    @property
    def person_name(self) -> str:
        """The name as a PN value (PS3.5 section 6.2.1)."""
        return f"{self.surname}^{self.given}^{self.middle}^{self.title}"

    @property
    def character_set(self) -> str:
        """The defined term (PS3.3 C.12.1.1.2) that can hold the name: Latin-1 where it is enough, as scanners do."""
        try:
            self.person_name.encode("latin-1")
        except UnicodeEncodeError:
            return "ISO_IR 192"
        return "ISO_IR 100"

    def record(self) -> dict[str, object]:
        """One line of patients.jsonl."""
        return {
            "mrn": self.mrn,
            "nhs_number": self.nhs_number if self.numbered else "",
            "person_id": str(self.person_id),
            "title": self.title,
            "given": self.given,
            "middle": self.middle,
            "surname": self.surname,
            "previous_surname": self.previous_surname,
            "preferred": self.preferred,
            "other_ids": [self.other_id],
            "sex": self.sex,
            "dob": self.dob.isoformat(),
            "address": {"line1": self.street, "town": self.town, "postcode": self.postcode},
            "phone": self.phone,
            "gp": {"name": f"{self.gp.title} {self.gp.given} {self.gp.surname}", "practice": self.practice},
            "referrer": self.referrer.spoken,
            "hospital": HOSPITAL,
        }

    def canaries(self) -> set[str]:
        """Every text that names this patient, in the forms in which records, files and reports write it."""
        plain = {self.given, self.surname, self.middle, self.previous_surname, self.preferred, self.person_name}
        names = {form for name in plain for form in (name, name.upper())}
        contacts = {self.street, self.town, self.postcode, self.phone, self.mobile, self.practice, self.other_id}
        born = {self.dob.strftime("%Y%m%d"), self.dob.isoformat(), self.dob.strftime("%d/%m/%Y")}
        return names | contacts | born | {self.mrn, self.nhs_number, spaced(self.nhs_number)}


@dataclass(frozen=True)
class Population:
    """Everybody the hospital knows."""

    patients: tuple[Patient, ...]
    staff: tuple[Clinician, ...]

    def site(self) -> dict[str, object]:
        """The content of site.json: the hospital, its neighbours, its staff directory."""
        return {
            "home_hospital": HOSPITAL,
            "home_aliases": list(HOSPITAL_ALIASES),
            "hospitals": list(OTHER_HOSPITALS),
            "staff": [{"title": s.title, "given": s.given, "surname": s.surname, "role": s.role} for s in self.staff],
        }


def populate(*, seed: int, today: date) -> Population:
    """Draw the population. The same arguments give the same people."""
    rng = random.Random(f"{seed}:staff")
    surnames = list(_NAMES["surname"]["staff"])
    rng.shuffle(surnames)
    staff = tuple(
        Clinician(
            rng.choice(("Dr", "Dr", "Mr", "Miss", "Prof")), rng.choice(_NAMES["given"]["staff"]), surname, rng.choice(_ROLES)
        )
        for surname in surnames
    )
    rng = random.Random(f"{seed}:patients")
    surnames = list(_NAMES["surname"]["patients"])
    rng.shuffle(surnames)
    given = {sex: list(_NAMES["given"][sex]) for sex in "FM"}
    for names in given.values():
        rng.shuffle(names)
    people = [_patient(rng, index, surnames[index], given, staff, today) for index in range(PATIENTS)]
    return Population(tuple(people), staff)


def _patient(
    rng: random.Random, index: int, surname: str, given: dict[str, list[str]], staff: tuple[Clinician, ...], today: date
) -> Patient:
    sex = "FM"[index % 2]
    previous, place = _NAMES["surname"]["previous"], _NAMES["place"]
    first = given[sex][index // 2]
    born = today - timedelta(days=_AGES.get(index, rng.randrange(22, 84)) * 365 + rng.randrange(30, 330))
    if (born.month, born.day) == (1, 1):
        # A floored birth date must not look like an original one.
        born += timedelta(days=40)
    number = 104_000 + index * 131 + rng.randrange(100)
    return Patient(
        person_id=50_000 + index * 17 + rng.randrange(16),
        mrn=f"SGH{number:06d}7" if index % 3 else f"00{4_170_000 + number * 7}",
        nhs_number=nhs_number(rng),
        title={"F": "Mrs", "M": "Mr"}[sex] if rng.random() < 0.8 else {"F": "Ms", "M": "Dr"}[sex],
        given=first,
        middle=given[sex][(index // 2 + 7) % len(given[sex])] if index % 4 == 0 else "",
        surname=surname,
        previous_surname=previous[index // 2 % len(previous)] if sex == "F" and index % 3 == 0 else "",
        preferred=f"{first[:5]}kin" if index % 7 == 0 else "",
        sex=sex,
        dob=born,
        street=f"{rng.randrange(3, 240)} {rng.choice(place['streets'])}",
        town=rng.choice(place["towns"]),
        postcode=f"{rng.choice(('LL', 'HX', 'DG', 'SY'))}{rng.randrange(11, 79)} {rng.randrange(1, 9)}"
        f"{rng.choice('BDFGHJLNPQRSTUWXYZ')}{rng.choice('BDFGHJLNPQRSTUWXYZ')}",
        phone=f"01632 {960_000 + index * 23 + rng.randrange(20):06d}",
        mobile=f"07700 {900_000 + index * 19 + rng.randrange(18):06d}",
        gp=rng.choice(staff),
        practice=rng.choice(place["practices"]),
        referrer=rng.choice(staff),
        other_id=f"WBH{rng.randrange(2_000_000, 9_999_999)}",
    )


def nhs_number(rng: random.Random) -> str:
    """Draw a number of the test range 999 with a valid check digit (NHS Data Dictionary, modulus 11)."""
    while True:
        digits = [9, 9, 9, *(rng.randrange(10) for _ in range(6))]
        check = 11 - sum(digit * (10 - place) for place, digit in enumerate(digits)) % 11
        if check != 10:
            return "".join(map(str, [*digits, check % 11]))


def spaced(number: str) -> str:
    """Return an NHS number as people write it: 999 123 4567."""
    return f"{number[:3]} {number[3:6]} {number[6:]}"

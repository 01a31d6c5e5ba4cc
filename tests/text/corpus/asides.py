"""Identifiers in running text."""

from __future__ import annotations

from tests.text.corpus.patient import Patient
from tests.text.corpus.words import GIVEN, MONTHS, OTHER_HOSPITALS


class Asides(Patient):
    """Writes sentences that come in between."""

    def findings(self, low: int, high: int) -> None:
        for _ in range(self.rng.randint(low, high)):
            self.page.finding(self.rng)

    def aside(self) -> None:
        """Append one sentence with identifiers in running text."""
        rng, page = self.rng, self.page
        kind = rng.randrange(22)
        if kind == 0:
            page.put("Case reviewed with Prof ", ("CLINICIAN_NAME", self.colleague()), ". ")
        elif kind == 1:
            page.put(
                "Discussed with Dr ",
                ("CLINICIAN_NAME", self.colleague_surname()),
                " on bleep ",
                ("BLEEP", str(rng.randrange(1000, 9999))),
                ". ",
            )
        elif kind == 2:
            page.put(
                "Agreed at MDT with ",
                ("CLINICIAN_NAME", self.colleague_surname()),
                ", ",
                ("CLINICIAN_NAME", self.colleague_surname()),
                " and ",
                ("CLINICIAN_NAME", self.person()),
                ". ",
            )
        elif kind == 3:
            page.put(
                "Images from ",
                ("HOSPITAL", rng.choice(OTHER_HOSPITALS)),
                " (",
                ("DATE", self.day()),
                ") have been imported. ",
            )
        elif kind == 4:
            page.put(
                "I have emailed ",
                ("CLINICIAN_NAME", self.person()),
                " (",
                ("EMAIL", f"{rng.choice(GIVEN).lower()}.{rng.choice(['khan', 'smith', 'oneill'])}@example.nhs.uk"),
                ") with these findings. ",
            )
        elif kind == 5:
            page.put("Telephoned through to ", ("CLINICIAN_NAME", self.person()), " on ", ("PHONE", self.telephone()), ". ")
        elif kind == 6:
            page.put(("PATIENT_NAME", self.given), " prefers not to have contrast. ")
        elif kind == 7:
            page.put(
                "Radiographer ",
                ("CLINICIAN_NAME", self.person()),
                " performed the scan; chaperone ",
                ("CLINICIAN_NAME", self.person()),
                ". ",
            )
        elif kind == 8:
            page.put(
                f"{self.title} ",
                ("PATIENT_NAME", self.surname),
                "'s GP is ",
                ("CLINICIAN_NAME", self.gp) if False else "Dr ",
                ("CLINICIAN_NAME", self.gp[3:]),
                " at ",
                ("GP_PRACTICE", self.practice),
                ". ",
            )
        elif kind == 9:
            page.put("Comparison: CT ", ("DATE", self.day()), " and MRI ", ("DATE", self.day()), ". ")
        elif kind == 10:
            page.put(
                "A ",
                ("AGE90", str(rng.randrange(90, 103))),
                rng.choice([" year old lady", "-year-old gentleman", "yo man"]),
                " living alone. ",
            )
        elif kind == 11:
            page.put(
                "Study UID ",
                ("OTHER_ID", f"1.2.826.0.1.3680043.9.{rng.randrange(10**3, 10**4)}.{rng.randrange(10**6, 10**8)}"),
                ". ",
            )
        elif kind == 12:
            page.put(
                "NI number ",
                ("OTHER_ID", f"QQ {rng.randrange(10, 99)} {rng.randrange(10, 99)} {rng.randrange(10, 99)} C"),
                ". Path no ",
                ("OTHER_ID", f"H{rng.randrange(10, 25)}/{rng.randrange(10**4, 10**5)}"),
                ". ",
            )
        elif kind == 13:
            page.put(
                "Consent taken by ",
                ("CLINICIAN_NAME", self.person()),
                " (GMC ",
                ("GMC", str(rng.randrange(10**6, 10**7))),
                "). ",
            )
        elif kind == 14:
            page.put(
                "Seen with ",
                ("CLINICIAN_NAME", self.colleague_surname()),
                " and ",
                ("CLINICIAN_NAME", self.colleague_surname()),
                ". ",
            )
        elif kind == 15:
            page.put(
                "Carer ",
                ("RELATIVE_NAME", self.person()),
                " present throughout. Will return on ",
                ("DATE", f"{rng.randrange(1, 29)} {rng.choice(MONTHS)}"),
                ". ",
            )
        elif kind == 16:
            page.put("Transferred from ", ("HOSPITAL", rng.choice(OTHER_HOSPITALS)), " on ", ("DATE", self.day()), ". ")
        elif kind == 17:
            page.put("dw ", ("CLINICIAN_NAME", self.colleague_surname().lower()), ", she will arrange admission. ")
        elif kind == 18 and len(self.surname) > 5:
            slip = self.surname[:3] + rng.choice("aeioun") + self.surname[4:]
            page.put(f"{self.title} ", ("PATIENT_NAME", slip), " was unable to lie flat. ")
        elif kind == 19:
            page.put("Lives with mother ", ("RELATIVE_NAME", rng.choice(GIVEN)), " at ", ("ADDRESS", self.address()), ". ")
        elif kind == 20:
            page.put(
                "Addendum (",
                ("CLINICIAN_NAME", f"{rng.choice(GIVEN)[0]}. {self.colleague_surname()}"),
                ", ",
                ("DATE", self.day()),
                "): wrong side stated; read left. ",
            )
        elif kind == 21 and self.previous:
            page.put("Formerly known as ", ("PATIENT_NAME", f"{self.given} {self.previous}"), ". ")

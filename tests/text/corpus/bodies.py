"""What texts say."""

from __future__ import annotations

from tests.text.corpus.asides import Asides
from tests.text.corpus.words import GIVEN, TOWNS, WARDS


class Bodies(Asides):
    """Writes the middle of a document, of five kinds."""

    def report(self) -> None:
        page = self.page.put("CLINICAL DETAILS\n")
        self.findings(1, 2)
        self.aside()
        page.put("\n\nREPORT\n")
        for _ in range(self.rng.randint(2, 4)):
            self.findings(1, 1)
            if self.rng.random() < 0.35:
                self.aside()
            page.put("\n")
        page.put("\nCONCLUSION\n")
        self.findings(1, 2)
        self.aside()
        page.put("\n")

    def letter(self) -> None:
        surname = self.gp.split()[-1]
        page = self.page.put(
            "Our ref: ",
            ("INITIALS", "".join(w[0] for w in self.colleague().split()).upper()),
            "/",
            ("INITIALS", "kp"),
            "/",
            ("MRN", self.mrn),
            "\nClinic date: ",
            ("DATE", self.day()),
            "     Typed: ",
            ("DATE", self.day()),
            "\n\nDr ",
        )
        page.put(
            ("CLINICIAN_NAME", self.gp[3:]),
            "\n",
            ("GP_PRACTICE", self.practice),
            "\n",
            ("ADDRESS", self.address()),
            "\n",
            ("TOWN", self.rng.choice(TOWNS).replace("\u00a0", " ")),
            "\n",
            ("POSTCODE", self.code()),
            "\n\nDear Dr ",
            ("CLINICIAN_NAME", surname),
            f"\n\nRe: {self.title} ",
            ("PATIENT_NAME", f"{self.given} {self.surname}"),
            "\n\nDiagnosis: ",
        )
        self.findings(1, 1)
        page.put(
            "\nI reviewed ",
            f"{self.title} ",
            ("PATIENT_NAME", self.surname),
            " in clinic today with ",
            self.rng.choice(["wife", "son", "daughter", "husband", "partner"]),
            ", ",
            ("RELATIVE_NAME", f"{self.rng.choice(GIVEN)} {self.surname}"),
            ". ",
        )
        self.findings(2, 4)
        self.aside()
        page.put(
            "\n\nYours sincerely\n\n",
            ("CLINICIAN_NAME", self.colleague()),
            "\nConsultant\nGMC ",
            ("GMC", f"{self.rng.randrange(10**6, 10**7)}"),
            "\n",
        )

    def nursing(self) -> None:
        page = self.page.put(
            "Nursing entry ",
            ("DATE", self.day(self.study)),
            " 21:40. ",
            ("PATIENT_NAME", self.given),
            " settled on ",
            ("WARD", self.rng.choice(WARDS)),
            ". ",
        )
        self.findings(1, 2)
        page.put(
            self.rng.choice(["Son", "Daughter", "Grandson", "Sister"]),
            " ",
            ("RELATIVE_NAME", self.rng.choice(GIVEN)),
            " rang at 19:20. ",
        )
        self.findings(1, 2)
        page.put("Handed over to ", ("CLINICIAN_NAME", self.person()), ". ")
        self.aside()
        page.put(
            "\nSigned S/N ",
            ("CLINICIAN_NAME", self.person()),
            ", NMC ",
            ("GMC", f"{self.rng.randrange(10, 99)}{self.rng.choice('ABCEFGHI')}{self.rng.randrange(1000, 9999)}E"),
            "\n",
        )

    def emergency(self) -> None:
        page = self.page.put(
            ("DATE", self.day(self.study)),
            " 03:14 ED\n",
            ("PATIENT_NAME", f"{self.given[0]}. {self.surname}"),
            " 66-year-old F. ",
        )
        self.findings(2, 4)
        page.put(
            "\nD/W ",
            ("CLINICIAN_NAME", self.colleague_surname()),
            " (bleep ",
            ("BLEEP", str(self.rng.randrange(1000, 9999))),
            "). NOK ",
            ("RELATIVE_NAME", self.rng.choice(GIVEN)),
            " ",
            ("PHONE", self.telephone()),
            " updated. ",
        )
        self.aside()
        page.put("\n")

    def meeting(self) -> None:
        page = self.page.put(
            "Upper GI MDT outcome ",
            ("DATE", self.day(self.study)),
            "\nChair: ",
            ("CLINICIAN_NAME", self.colleague()),
            ". Present: ",
            ("CLINICIAN_NAME", self.colleague_surname()),
            ", ",
            ("CLINICIAN_NAME", self.colleague_surname()),
            ", ",
            ("CLINICIAN_NAME", self.colleague()),
            ".\n\n1. ",
        )
        page.put(
            ("PATIENT_NAME", f"{self.surname.upper()}, {self.given}"),
            " (",
            ("MRN", self.mrn),
            ", ",
            ("DOB", self.day(self.born)),
            ")\n",
        )
        self.findings(2, 4)
        page.put(
            "Outcome: CNS to contact ", f"{self.title} ", ("PATIENT_NAME", self.surname), " on ", ("PHONE", self.phone), ". "
        )
        self.aside()
        page.put("\n")

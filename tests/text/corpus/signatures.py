"""How texts end."""

from __future__ import annotations

from tests.text.corpus.patient import Patient
from tests.text.corpus.words import PRACTICES, ROLES, STREETS


class Signatures(Patient):
    """Writes who wrote it, in three layouts."""

    def signature(self) -> None:
        name = self.colleague()
        self.page.put(
            "\n",
            ("CLINICIAN_NAME", name.upper() if self.rng.random() < 0.3 else name),
            f"\n{self.rng.choice(ROLES)}\nGMC No: ",
            ("GMC", str(self.rng.randrange(10**6, 10**7))),
            "\n",
        )

    def signature_line(self) -> None:
        page = self.page
        kind = self.rng.randrange(5)
        if kind == 0:
            page.put(
                "\nReported by: ",
                ("CLINICIAN_NAME", self.colleague()),
                f", {self.rng.choice(ROLES)}, GMC ",
                ("GMC", str(self.rng.randrange(10**6, 10**7))),
                "\n",
            )
        elif kind == 1:
            page.put(
                "\nDictated by Dr ",
                ("CLINICIAN_NAME", self.colleague_surname()),
                " and verified by Dr ",
                ("CLINICIAN_NAME", self.colleague()),
                " on ",
                ("DATE", self.day()),
                "\n",
            )
        elif kind == 2:
            page.put(
                "\nElectronically signed: ", ("CLINICIAN_NAME", self.colleague()), " ", ("DATE", self.day()), " 16:47\n"
            )
        elif kind == 3:
            page.put("\n", ("CLINICIAN_NAME", self.rng.choice(self.hospital.staff)[2]), "/", ("INITIALS", "sr"), "\n")
        else:
            given, surname = self.person().split(" ", 1)
            page.put("\nREPORTED BY ", ("CLINICIAN_NAME", f"{surname}, {given}"), " / VERIFIED ", ("DATE", self.day()), "\n")

    def signature_copy(self) -> None:
        self.page.put(
            "\ncc: Dr ",
            ("CLINICIAN_NAME", self.person()),
            ", ",
            ("GP_PRACTICE", self.rng.choice(PRACTICES).format(self.rng.choice(STREETS))),
            ", ",
            ("ADDRESS", self.address()),
            ", ",
            ("POSTCODE", self.code()),
            "\n",
        )

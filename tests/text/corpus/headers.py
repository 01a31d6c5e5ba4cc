"""How texts begin."""

from __future__ import annotations

from tests.text.corpus.patient import Patient
from tests.text.corpus.words import WARDS


class Headers(Patient):
    """Writes who it is about, in six layouts."""

    def header_block(self) -> None:
        self.page.put(
            ("HOSPITAL", self.hospital.name),
            " - Department of Radiology\nPatient: ",
            ("PATIENT_NAME", f"{self.surname}, {self.given}"),
            "\nHospital No: ",
            ("MRN", self.mrn),
        )
        self.page.put(
            "    NHS No: ",
            ("NHS_NO", self.number()),
            "\nDOB: ",
            ("DOB", self.day(self.born)),
            "   Sex: F\nExam: CT head   Date: ",
            ("DATE", self.day(self.study)),
            "   Accession: ",
            ("ACCESSION", self.accession),
        )
        self.page.put(
            "\nReferrer: ", self.referrer.split()[0] + " ", ("CLINICIAN_NAME", self.referrer.split(" ", 1)[1]), "\n\n"
        )

    def header_line(self) -> None:
        self.page.put(
            "Chest radiograph - ",
            ("DATE", self.day(self.study)),
            "\nRef: ",
            ("ACCESSION", self.accession),
            f"\nRe {self.title} ",
            ("PATIENT_NAME", f"{self.given} {self.surname}"),
            " ",
            ("DOB", self.day(self.born)),
            "\n\n",
        )

    def header_pipe(self) -> None:
        self.page.put(
            "Pt ID ",
            ("MRN", self.mrn),
            " | ",
            ("PATIENT_NAME", f"{self.given} {self.surname}"),
            " | ",
            ("DOB", self.day(self.born)),
            " | US abdomen | ",
            ("DATE", self.day(self.study)),
            " | Ref Dr ",
            ("CLINICIAN_NAME", self.colleague_surname()),
            "\n",
        )

    def header_hl7(self) -> None:
        self.page.put(
            "PID|1||",
            ("MRN", self.mrn),
            "^^^NGH^MRN~",
            ("NHS_NO", self.nhs),
            "^^^NHS||",
            ("PATIENT_NAME", f"{self.surname.upper()}^{self.given.upper()}"),
            f"^^^{self.title.upper()}||",
            ("DOB", f"{self.born:%Y%m%d}"),
        )
        self.page.put(
            "|M|||",
            ("ADDRESS", self.street),
            "^^",
            ("TOWN", self.town),
            "^^",
            ("POSTCODE", self.postcode),
            "\nOBR|1||",
            ("ACCESSION", self.accession),
            "|CT HEAD\nOBX|1|TX|\n",
        )

    def header_short(self) -> None:
        self.page.put(
            ("PATIENT_NAME", f"{self.surname.upper()} {self.given}"),
            " (F) ",
            ("MRN", self.mrn),
            " ",
            ("NHS_NO", self.number()),
            " ",
            ("DOB", self.day(self.born)),
            "\nMRI knee ",
            ("DATE", self.day(self.study)),
            " ",
            ("ACCESSION", self.accession),
            "\n\n",
        )

    def header_caps(self) -> None:
        self.page.put(
            "NAME: ",
            ("PATIENT_NAME", f"{self.given} {self.surname}"),
            "  D.O.B. ",
            ("DOB", self.day(self.born)),
            "  UNIT NO. ",
            ("MRN", self.mrn),
            "\nADDRESS: ",
            ("ADDRESS", self.street),
            ", ",
            ("TOWN", self.town),
            " ",
            ("POSTCODE", self.postcode),
        )
        self.page.put(
            "\nEXAMINATION: MRI BRAIN ",
            ("DATE", self.day(self.study)),
            "\nREQUESTED BY: Dr ",
            ("CLINICIAN_NAME", self.colleague()),
            ", ",
            ("WARD", self.rng.choice(WARDS)),
            "\n\n",
        )

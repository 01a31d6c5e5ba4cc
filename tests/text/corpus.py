"""Invented reports with their identifiers marked: UK names of many origins, many layouts, drawn from a seed.

Numbers and addresses are in ranges that nobody has (NHS numbers 999..., Ofcom's telephone ranges for drama). Each document
is ``{id, text, patient, spans, keep}``, as labelled sets are.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

GIVEN = """Oliver Amelia Harry Isla George Ava Noah Mia Jack Ivy Leo Freya Arthur Florence Muhammad Fatima Aisha Yusuf Zainab Omar Khadija Ibrahim
Maryam Bilal Samina Tariq Nasreen Imran Rukhsana Farhan Priya Rajesh Sunita Vikram Deepika Anil Lakshmi Harpreet Gurdeep Manjit Simran Jasmeet Nimisha
Chinwe Oluwaseun Ngozi Ifeoma Kwame Akua Kofi Abena Tendai Rudo Farai Chipo Wanjiru Otieno Achieng Tesfaye Selam Abdi Hodan Ayaan Dahabo
Agnieszka Piotr Katarzyna Tomasz Zofia Mateusz Ewelina Sławomir Ion Mihaela Gheorghe Ioana Ruxandra Dimitrios Eleni Kostas Giulia Lorenzo Chiara
Beatriz Thiago Conceição João Inês Søren Astrid Björn Ingrid Matthias Jürgen Käthe Siobhán Aoife Caoimhe Pádraig Niamh Eoin Rhiannon Myfanwy Gethin
Llinos Hamish Morag Eilidh Ruaridh Wei Xiaoyu Jing Hui Mei-Ling Siu Ka-Yan Haruto Yuki Min-Jun Thi Linh Quang Somchai Putri Dewi Ayşe Mehmet Zeynep
Reza Shirin Parisa Levon Anahit Nino Olena Dmytro Yuliia Viktor Svetlana Grace Hope Faith Joy Rose Lily Daisy Olive Hazel Iris May June Mark Frank
Bill Rob Will Jean Dawn Sky Ray Gene Summer Melody Constance Prudence Earl Duke Noel Tilly Bernard Enid Mavis Ethel Cyril Reginald Doris Winifred""".split()
SURNAMES = """Smith Jones Taylor Brown Williams Wilson Johnson Davies Patel Wright Walker White Edwards Hughes Green Hall Lewis Harris Clarke Jackson Wood
Turner Hill Cooper Ward Moore Baker Price Stone Bone Long Short Sharp Head Foot Hand Heart Pain Bell Day Knight Winter May March Power Rush Cross Field Marsh
Rivers Brooks Banks Grey Black Young Old Little Strong Savage Best Love Bird Fox Lamb Fish Crisp Peel Nail Bright Fairweather Micklethwaite Ramsbottom
Higginbottom Featherstonehaugh Cholmondeley Ackroyd Sutcliffe Braithwaite Entwistle Murgatroyd Hebblethwaite Pemberton-Hughes Fitzgerald-Moore
Khan Ahmed Hussain Begum Ali Shah Malik Chaudhry Rahman Uddin Miah Akhtar Qureshi Siddiqui Singh Kaur Gill Dhillon Sandhu Sharma Gupta Mehta Desai
Chakraborty Subramaniam Venkatesan Iyer Nair Perera Wickramasinghe Okonkwo Adeyemi Ogunleye Eze Nwosu Mensah Owusu Boateng Asante Moyo Ndlovu
Chikwanha Kamau Mwangi Odhiambo Gebreselassie Warsame Jama Kowalski Nowak Wiśniewski Wójcik Kamiński Zieliński Popescu Ionescu Dumitrescu
Papadopoulos Nikolaidis Rossi Bianchi Esposito Silva Gonçalves Fernandes Nielsen Sørensen Müller Schäfer Weiß O'Brien O'Sullivan O'Connor McCarthy
MacLeod McGillicuddy Ó'Dónaill ap-Rhys Llewellyn Gruffydd Chen Wang Li Zhang Huang Ng Leung Cheung Nguyen Tran Pham Tanaka Kim Park Yılmaz Öztürk
Hosseini Petrosyan Shevchenko Kovalenko Ivanova van-Dijk Haddad Al-Khalidi El-Sayed Bin-Rashid Abdelrahman Cohen Rosenberg Goldstein Parkinson
Crohn Hodgkin Down Graves Wilson Murphy Colles Bennett Barton Foley Addison Bowen Paget""".split()
STREETS = "High Church Station Victoria Mill Manor Park Queens Kings Albert York Primrose Beech Elm Nightingale Wellesley Tennyson Abbeyfield".split()
ENDINGS = [
    "Road",
    "Street",
    "Lane",
    "Avenue",
    "Close",
    "Drive",
    "Gardens",
    "Crescent",
    "Mews",
    "Rd",
    "St",
    "Way",
    "Terrace",
    "Court",
]
TOWNS = "Bradford Leicester Swansea Dundee Ipswich Luton Hexham Truro Keighley Stoke-on-Trent Sutton-in-Ashfield Leighton\u00a0Buzzard".split(
    " "
)
AREAS = "BD LE SA DD IP LU NE TR ST NG MK M S L B W N E SE SW EC BT CF EH G".split()
HOSPITALS = [
    "Fairmead Hospital",
    "Northgate General Hospital",
    "St Cuthbert's Hospital",
    "Royal Eastshire Infirmary",
    "Queen Eleanor Hospital",
]
OTHER_HOSPITALS = [
    "Addenbrooke's Hospital",
    "Leeds General Infirmary",
    "Southmead Hospital",
    "Glan Clwyd Hospital",
    "Westvale Community Hospital",
]
PRACTICES = [
    "{} Road Surgery",
    "The {} Practice",
    "{} Medical Centre",
    "{} Family Practice",
    "Dr {} and Partners",
    "{} Health Centre",
    "{} House Practice",
]
WARDS = ["Kestrel Ward", "Ward 7B", "AMU", "ITU", "Ward 12", "CCU", "Bluebell Ward"]
ROLES = [
    "Consultant Radiologist",
    "Consultant Neuroradiologist",
    "ST5 Radiology",
    "Reporting Radiographer",
    "Specialist Registrar",
    "Clinical Fellow",
]
MONTHS = "January February March April May June July August September October November December".split()
FINDINGS = """The {heart size|clinical} is normal. No pleural effusion.|Cerebral {grey matter|clinical} differentiation is preserved.|{Murphy's sign|eponym} is negative.
A 3 cm {Baker's cyst|eponym} is noted.|No {Colles' fracture|eponym}.|{L4/5|spine}: {broad based|clinical} protrusion.|{T1|sequence} and {T2|sequence} weighted images.
{Crohn's disease|eponym} with {terminal ileitis|clinical}.|Known {Parkinson's disease|eponym}.|{Hodgkin lymphoma|eponym}, {Ann Arbor|eponym} {stage IIB|stage}.
{Graves' disease|eponym} on {carbimazole|drug}.|The {long axis|clinical} diameter is {14 mm|measure}.|{Circle of Willis|eponym} is patent.
Given {Omnipaque 300|drug} {100 ml|measure}.|Repeat in {6/52|duration}.|Pain for {3/12|duration}.|{GCS 15/15|score}, {BP 120/80|score}.|{Pouch of Douglas|eponym} is clear.
{Foley catheter|eponym} in situ.|{BI-RADS 4|stage} lesion.|{PI-RADS 3|stage} in the {peripheral zone|clinical}.|{C5/6|spine} {disc osteophyte complex|clinical}.
There is {white matter|clinical} change, {Fazekas 2|eponym}.|{Salter-Harris II|eponym} fracture.|{Kerley B lines|eponym} at the bases.|{Weber B|eponym} ankle fracture.
Comparison is not available.|No {bone lesion|clinical}.|{Bristol stool chart|place_like} type 5.|{Glasgow Coma Scale|eponym} 14.|Sats 96% on air, HR 88.
May represent an {incidental|clinical} finding.|{Meckel's diverticulum|eponym} suspected.|The {common bile duct|clinical} measures 6 mm.|{Tenckhoff catheter|eponym} noted.
Started on {apixaban 5 mg|drug} BD.|{eGFR 45|lab}, {CRP 88|lab}.|{Hashimoto's thyroiditis|eponym} on levothyroxine.|Bell clapper deformity is excluded.
Old {granulomatous|clinical} change.|The price of delay was explained.|The {sharp|clinical} margin is preserved.|Sent for {Whipple's procedure|eponym}.
Moderate {hydronephrosis|clinical} on the left.|{Osgood-Schlatter disease|eponym} in childhood.|{T2a N1 M0|stage}.|{Gleason 3+4|stage} adenocarcinoma.""".replace(
    "\n", "|"
)


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


def corpus(count: int, *, seed: int = 1) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return labelled documents and the site's directory."""
    hospital = Hospital(seed)
    return [
        Writer(random.Random(f"{seed}/{number}"), hospital).document(f"c{number:05d}") for number in range(count)
    ], hospital.directory()


class Writer:
    """Writes one document about one patient."""

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

    # -- headers
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

    # -- bodies
    def findings(self, low: int, high: int) -> None:
        for _ in range(self.rng.randint(low, high)):
            self.page.finding(self.rng)

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

    # -- ends
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

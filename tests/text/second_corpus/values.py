"""Numbers, dates and addresses as people write them. In ranges that nobody has: NHS 999, Ofcom's telephones for drama."""

from __future__ import annotations

import unicodedata
from datetime import date
from random import Random

from tests.text.second_corpus import names

MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def plain(text: str) -> str:
    table = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ı": "i", "ß": "ss", "đ": "d"})
    return "".join(c for c in unicodedata.normalize("NFD", text.translate(table)) if unicodedata.category(c) != "Mn")


def nhs_number(rng: Random) -> str:
    while True:
        nine = "999" + f"{rng.randrange(10**6):06d}"
        check = 11 - sum(int(d) * w for d, w in zip(nine, range(10, 1, -1), strict=True)) % 11
        if check != 10:
            return nine + str(0 if check == 11 else check)


def phone(rng: Random) -> str:
    kind = rng.randrange(3)
    if kind == 0:
        digits = ("07700", f"900{rng.randrange(1000):03d}")
    elif kind == 1:
        digits = (rng.choice(["0113", "0117", "0131", "0161", "0191"]), "496", f"0{rng.randrange(1000):03d}")
    else:
        digits = ("01632", f"960{rng.randrange(1000):03d}")
    form = rng.randrange(7)
    if form == 0:
        return "".join(digits)
    if form == 1:
        return f"({digits[0]}) {' '.join(digits[1:])}"
    if form == 2:
        return f"+44 {digits[0][1:]} {' '.join(digits[1:])}"
    if form == 3:
        return f"+44 (0){digits[0][1:]} {' '.join(digits[1:])}"
    if form == 4:
        return "-".join(digits)
    if form == 5:
        return f"0044 {digits[0][1:]} {''.join(digits[1:])}"
    return " ".join(digits)


def postcode(rng: Random) -> str:
    area = rng.choice(
        "AB B BA BD BH BN BR BS CB CH CM CV CW DD DE DL DT EC E EH EX G GL GU HD HG HP HR HU IP IV KA KT L LA LD LL LN LS M MK ML N NE NG NN NP NR NW OX PE PL PO RG RH S SA SE SK SN SO SR ST SW SY TA TD TN TQ TR TS TW UB W WA WD WF WR WS WV YO".split()
    )
    letters = "ABDEFGHJLNPQRSTUWXYZ"
    return f"{area}{rng.randrange(1, 20)} {rng.randrange(10)}{rng.choice(letters)}{rng.choice(letters)}"


def written_postcode(rng: Random, code: str) -> str:
    return rng.choice([code, code, code, code.replace(" ", ""), code.replace(" ", "  "), code.lower()])


def address(rng: Random) -> str:
    street = f"{rng.choice(names.STREET_NAMES).replace('-', ' ')} {rng.choice(names.STREETS)}"
    number = f"{rng.randrange(1, 240)}{rng.choice(['', '', '', '', 'a', 'B'])}"
    return rng.choice(["", "", "", f"Flat {rng.randrange(1, 40)}, ", f"Apt {rng.randrange(1, 20)}, "]) + f"{number} {street}"


def write_date(rng: Random, d: date, forms: str = "") -> str:
    th = "th" if 10 < d.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(d.day % 10, "th")
    month, day = MONTHS[d.month - 1], DAYS[d.weekday()]
    every = {
        "slash": f"{d.day:02d}/{d.month:02d}/{d.year}",
        "short": f"{d.day}/{d.month}/{d.year % 100:02d}",
        "dot": f"{d.day:02d}.{d.month:02d}.{d.year}",
        "dots": f"{d.day}.{d.month}.{d.year % 100:02d}",
        "dash": f"{d.day:02d}-{d.month:02d}-{d.year}",
        "iso": d.isoformat(),
        "dmy": f"{d.day:02d} {month[:3]} {d.year}",
        "dmyc": f"{d.day:02d}-{month[:3]}-{d.year}",
        "dmyu": f"{d.day:02d}-{month[:3].upper()}-{d.year % 100:02d}",
        "glued": f"{d.day:02d}{month[:3].upper()}{d.year}",
        "digits": f"{d:%Y%m%d}",
        "long": f"{d.day} {month} {d.year}",
        "ordinal": f"{d.day}{th} {month} {d.year}",
        "of": f"{d.day}{th} of {month} {d.year}",
        "week": f"{day} {d.day} {month} {d.year}",
        "weekth": f"{day[:3]} {d.day}{th} {month[:3]} {d.year}",
        "us": f"{month} {d.day}, {d.year}",
        "usth": f"{month} {d.day}{th} {d.year}",
        "tick": f"{d.day} {month[:3]} '{d.year % 100:02d}",
        "spaced": f"{d.day} / {d.month} / {d.year}",
        "slashm": f"{d.day:02d}/{month[:3]}/{d.year}",
    }
    return every[rng.choice(forms.split() or sorted(every))]


def part_date(rng: Random, d: date) -> str:
    th = "th" if 10 < d.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(d.day % 10, "th")
    month = MONTHS[d.month - 1]
    return rng.choice(
        [f"{d.day} {month}", f"{d.day}{th} {month}", f"the {d.day}{th} of {month}", f"{DAYS[d.weekday()]} {d.day}{th} {month[:3]}",
         f"{month[:3]} {d.day}{th}", f"{d.day}-{month[:3]}"])  # fmt: skip


def part_month(rng: Random, d: date) -> str:
    month = MONTHS[d.month - 1]
    return rng.choice(
        [
            f"{month} {d.year}",
            f"{month[:3]} {d.year}",
            f"{month[:3]} '{d.year % 100:02d}",
            f"{d.month:02d}/{d.year}",
            f"{month}, {d.year}",
        ]
    )


def misspelt(rng: Random, name: str) -> str:
    """Return the name with one slip that leaves its first letter."""
    if len(name) < 5:
        return name
    i = rng.randrange(1, len(name) - 1)
    kind = rng.randrange(4)
    if kind == 0 and name[i] != name[i + 1]:
        return name[:i] + name[i + 1] + name[i] + name[i + 2 :]
    if kind == 1:
        return name[:i] + name[i + 1 :]
    if kind == 2:
        return name[:i] + name[i] + name[i:]
    return name[:i] + rng.choice("aeioulnrst") + name[i + 1 :]

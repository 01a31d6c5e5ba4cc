"""Cases 1 to 23: values, VRs, dates, ages, character sets."""

from __future__ import annotations

from tests.dicom.encoding import IMPLICIT, Item, number, padded, sequence, text
from tests.dicom.hard import BIRTH_DATE, MARK, STUDY_DATE, Hard, Maker, case, put


@case(1)
def over_long(m: Maker) -> list[Hard]:
    long = f"{m.mark()} " * 20
    files = [m.ct(**put(text(0x00080070, "LO", long)))]
    files.append(m.ct(**put(text(0x00181210, "SH", f"kernel {m.mark()} {m.mark()}"))))
    files.append(m.ct(**put(text(0x00100010, "PN", long * 3), text(0x00100020, "LO", m.mrn * 10))))
    files.append(m.ct(**put(text(0x00080050, "SH", long), text(0x00200010, "SH", long))))
    return [Hard(data, same=("KVP",)) for data in files]


@case(2)
def multi_valued(m: Maker) -> list[Hard]:
    several = "\\".join(m.mark() for _ in range(3))
    return [
        Hard(
            m.ct(
                **put(
                    text(0x00081030, "LO", f"chest {several}"),
                    text(0x00080050, "SH", several),
                    text(0x00100010, "PN", several),
                    text(0x00100020, "LO", several),
                    text(0x00080022, "DA", f"{STUDY_DATE}\\19710520\\19710521"),
                    text(0x00101000, "LO", several),
                )
            ),
            same=("PixelSpacing",),
        )
    ]


@case(3)
def empty(m: Maker) -> list[Hard]:
    nothing = [Item(tag, vr, b"") for tag, vr in ((0x00100010, "PN"), (0x00080020, "DA"), (0x00080050, "SH"))]
    more = [
        Item(0x00200052, "UI", b""),
        Item(0x00100030, "DA", b""),
        Item(0x00081110, "SQ", []),
        Item(0x00200013, "IS", b""),
    ]
    return [Hard(m.ct(**put(*nothing, *more)), same=("AccessionNumber", "StudyDate", "FrameOfReferenceUID"))]


@case(4)
def name_groups(m: Maker) -> list[Hard]:
    group = "^".join(m.mark() for _ in range(5))
    name = "=".join((group, group, group))
    return [Hard(m.ct(**put(text(0x00100010, "PN", name), text(0x00080090, "PN", name), text(0x00081050, "PN", name))))]


@case(5)
def wrong_vr(m: Maker) -> list[Hard]:
    files = []
    for vr in ("UN", "LT", "UT", "ST"):
        kept = [text(tag, vr, m.mark()) for tag in (0x00080070, 0x00081090, 0x00181210, 0x00180024)]
        named = [text(tag, vr, m.mark()) for tag in (0x00100010, 0x00080050, 0x00081030)]
        dates = [text(0x00080021, vr, STUDY_DATE), text(0x00100030, vr, BIRTH_DATE)]
        files.append(m.ct(**put(*kept, *named, *dates, text(0x00100020, vr, m.mrn))))
    files.append(m.ct(**put(text(0x00180050, "DS", "1.2500000000000000012"))))
    files.append(m.ct(**put(text(0x00080060, "CS", "CT"), text(0x00185100, "LO", m.mark()))))
    return [Hard(data) for data in files]


@case(6)
def odd_dates(m: Maker) -> list[Hard]:
    dates = ("1947.03.13", "19470313-19470315", "194703", "1947-03-13", "13031947", "1947", "19471340", "born 1947")
    times = ("10:11:12", "101112.123456789", "25", "101112.5", "10", f"10{MARK}")
    files = [m.ct(**put(text(0x00080021, "DA", date), text(0x00100030, "DA", date))) for date in dates]
    files += [m.ct(**put(text(0x00080030, "TM", time), text(0x00080032, "TM", time))) for time in times]
    stamps = ("19470313101112.123456+0100", "1947", "194703", "1947-03-13T10:11:12", "19470313101112+2500", m.mark())
    files += [m.ct(**put(text(0x0008002A, "DT", stamp))) for stamp in stamps]
    return [Hard(data) for data in files]


@case(7, 8)
def leap_days(m: Maker) -> list[Hard]:
    dates = ("19480229", "19471231", "19470101", "00010101", "00010102", "99991231", "19000228", "20000229")
    files = [m.ct(**put(text(0x00080022, "DA", date), text(0x0008002A, "DT", f"{date}101112.5+0100"))) for date in dates]
    files.append(m.ct(**put(text(0x00080201, "SH", "+0100"), text(0x0008002A, "DT", "19470313101112+0100"))))
    files.append(m.ct(**put(text(0x00080201, "SH", m.mark()))))
    return [Hard(data) for data in files]


@case(9)
def ages(m: Maker) -> list[Hard]:
    shown = ("097Y", "101Y", "1200", "0101Y", "101 year old", "999M", "090Y", "006M", "400D")
    files = [m.ct(**put(text(0x00101010, "AS", age), text(0x00100030, "DA", "18700313"))) for age in shown]
    return [Hard(data) for data in files]


@case(10)
def numbers(m: Maker) -> list[Hard]:
    kept = [number(0x00189306, "FD", float("nan"), float("inf"))]
    decimal = [text(0x00180050, "DS", value) for value in (f"1.25{MARK}", "NaN", "inf", "1.25\\", "1e99999", "--1")]
    files = [m.ct(**put(*kept))] + [m.ct(**put(one)) for one in decimal]
    files.append(m.ct(**put(text(0x00200013, "IS", m.mark()))))
    return [Hard(data) for data in files]


@case(11, 12)
def padded_ids(m: Maker) -> list[Hard]:
    forms = [f" {m.mrn}", f"{m.mrn}  ", m.mrn, f"{m.mrn}\0"]
    return [Hard(m.ct(**put(Item(0x00100020, "LO", padded(one.encode(), "LO"))))) for one in forms]


@case(13)
def codes(m: Maker) -> list[Hard]:
    files = [m.ct(**put(text(0x00100040, "CS", value))) for value in ("F", "O", "")]
    files.append(m.ct(**put(text(0x00180015, "CS", f"CHEST {m.mark()}"))))
    files.append(m.ct(**put(text(0x00180015, "CS", "CHEST"))))
    return [Hard(data) for data in files]


_CHARSETS = (
    ("ISO_IR 100", "latin-1", "Zqxé"),
    ("ISO_IR 144", "iso8859_5", "Zqxж"),
    ("ISO_IR 192", "utf-8", "Zqx山ж"),
    ("GB18030", "gb18030", "Zqx王"),
    ("GBK", "gbk", "Zqx王"),
    ("\\ISO 2022 IR 87", "iso2022_jp", "Zqx山田"),
    ("\\ISO 2022 IR 149", "euc_kr", "Zqx김"),
    (None, "utf-8", "Zqxé"),
    ("ISO_IR 192", "latin-1", "Zqxé"),
    ("ISO_IR 999 Zqx", "latin-1", "Zqxé"),
    ("ISO_IR 13", "shift_jis", "Zqxﾔﾏ"),
    ("ISO_IR 166", "tis-620", "Zqxก"),
)


@case(*range(14, 24))
def character_sets(m: Maker) -> list[Hard]:
    files = []
    for term, codec, name in _CHARSETS:
        declared = text(0x00080005, "CS", term) if term is not None else None
        named = [
            text(0x00100010, "PN", f"{name}^{name}=={name}", codec),
            text(0x00081030, "LO", f"chest {name}", codec),
            text(0x00080080, "LO", name, codec),
            sequence(
                0x00081140,
                [
                    *([text(0x00080005, "CS", term)] if term else []),
                    text(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2"),
                    text(0x00081155, "UI", m.uid()),
                    text(0x00100010, "PN", name, codec),
                ],
            ),
        ]
        replace = put(*named)
        replace["t00080005"] = declared
        files += [m.ct(**replace), m.file(m.elements(**replace), syntax=IMPLICIT)]
    return [Hard(data, same=("KVP", "Modality")) for data in files]

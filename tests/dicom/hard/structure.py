"""Cases 24 to 50: private elements, nesting, order, structured content."""

from __future__ import annotations

import struct

from safelight.model import Reason
from tests.dicom.encoding import IMPLICIT, Elements, Item, encode, number, part10, sequence, text
from tests.dicom.hard import STUDY_DATE, Hard, Maker, case, put

SR = "1.2.840.10008.5.1.4.1.1.88.33"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
RTPLAN = "1.2.840.10008.5.1.4.1.1.481.5"
PR = "1.2.840.10008.5.1.4.1.1.11.1"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
ORDER = frozenset({Reason.ELEMENT_ORDER})


def code(tag: int, value: str, scheme: str, meaning: str, codec: str = "latin-1") -> Item:
    return sequence(
        tag, [text(0x00080100, "SH", value), text(0x00080102, "SH", scheme), text(0x00080104, "LO", meaning, codec)]
    )


@case(24)
def vendors(m: Maker) -> list[Hard]:
    blob = f"SV10{m.mark()}\0\0{m.mrn} 19470313 ".encode()
    gems = [text(0x00090010, "LO", "GEMS_IDEN_01"), text(0x00091001, "LO", m.mark()), text(0x00190010, "LO", "GEMS_ACQU_01")]
    gems += [text(0x00191023, "DS", "1.5"), text(0x00191002, "SL", m.mark())]
    siemens = [text(0x00290010, "LO", "SIEMENS CSA HEADER"), Item(0x00291010, "OB", blob), Item(0x00291020, "OB", blob)]
    siemens += [text(0x00290011, "LO", "SIEMENS MEDCOM HEADER2"), text(0x00291160, "LO", m.mark())]
    philips = [text(0x20010010, "LO", "Philips Imaging DD 001"), text(0x20011003, "FL", m.mark())]
    philips += [text(0x20050010, "LO", "Philips MR Imaging DD 001"), text(0x20051035, "CS", m.mark())]
    return [Hard(m.ct(**put(*gems, *siemens, *philips)), same=("KVP",))]


@case(25)
def creators(m: Maker) -> list[Hard]:
    files = [
        [text(0x00091001, "LO", m.mark())],
        [text(0x000900FE, "LO", f"ACME {m.mark()}"), text(0x0009FE01, "LO", m.mark())],
        [Item(0x00090010, "LO", b""), text(0x00091001, "LO", m.mark())],
        [text(0x00090010, "LO", "SIEMENS MR HEADER"), text(0x00091001, "LO", m.mark())],
        [
            text(0x00190010, "LO", "SIEMENS MR HEADER"),
            text(0x0019100C, "IS", m.mark()),
            text(0x0019100D, "CS", f"{m.mark()}\\" * 9),
        ],
        [text(0x00190055, "LO", "SIEMENS MR HEADER"), text(0x0019550C, "IS", "1000"), text(0x00195508, "CS", m.mark())],
        [text(0x00190010, "LO", m.mark()), text(0x00191001, "LO", "x")],
    ]
    return [Hard(m.ct(**put(*one)), same=("KVP",)) for one in files]


@case(26)
def private_in_items(m: Maker) -> list[Hard]:
    inside = [text(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2"), text(0x00081155, "UI", m.uid())]
    inside += [text(0x00190010, "LO", "ACME"), text(0x00191001, "LO", m.mark())]
    hidden = sequence(0x00191002, [text(0x00100010, "PN", m.mark()), text(0x00080020, "DA", STUDY_DATE)])
    return [Hard(m.ct(**put(sequence(0x00081140, inside), text(0x00190010, "LO", "ACME"), hidden)))]


@case(27, 55)
def after_the_pixels(m: Maker) -> list[Hard]:
    later = [
        encode([text(0x7FE10010, "LO", "ACME"), text(0x7FE11001, "LO", m.mark())]),
        encode(
            [
                text(0x7FE10010, "LO", "ACME"),
                sequence(0x7FE11001, [text(0x00100010, "PN", m.mark())], undefined=True, vr="UN"),
            ]
        ),
        encode([Item(0xFFFCFFFC, "OB", m.mark().encode() * 4)]),
        encode([sequence(0xFFFAFFFA, [text(0x04000100, "UI", m.uid()), text(0x04000120, "OB", m.mark())])]),
    ]
    return [Hard(m.file(m.elements(), tail=tail)) for tail in later]


@case(28)
def contradicting_bytes(m: Maker) -> list[Hard]:
    gems = [
        text(0x00190010, "LO", "GEMS_ACQU_01"),
        Item(0x00191023, "DS", b"\xff\xfe\x01\x02"),
        Item(0x00191024, "FD", b"abc "),
    ]
    files = [m.ct(**put(*gems)), m.file(m.elements(**put(*gems)), syntax=IMPLICIT)]
    files.append(m.ct(**put(Item(0x00280030, "US", b"abc"), Item(0x00180050, "FL", b"ab"))))
    return [Hard(data) for data in files]


@case(29, 30)
def unknown_vr(m: Maker) -> list[Hard]:
    referenced: Elements = [text(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2"), text(0x00081155, "UI", m.uid())]
    named = [*referenced, text(0x00100010, "PN", m.mark())]
    files = [
        m.ct(**put(sequence(0x00081140, named, vr="UN"))),
        m.ct(**put(sequence(0x00081140, named, vr="UN", undefined=True))),
        m.ct(**put(text(0x00190010, "LO", "ACME"), sequence(0x00191001, named, vr="UN", undefined=True))),
        m.ct(**put(text(0x00190010, "LO", "ACME"), text(0x00191001, "UN", m.mark()))),
        m.file(m.elements(**put(text(0x00190010, "LO", "ACME"), text(0x00191001, "LO", m.mark()))), syntax=IMPLICIT),
        m.file(m.elements(**put(sequence(0x00081140, named, undefined=True))), syntax=IMPLICIT),
    ]
    return [Hard(data, same=("KVP",)) for data in files]


def nested(m: Maker, levels: int, *, undefined: bool) -> Item:
    """A sequence that deep; encoded from the inside, because a test's encoder may be recursive and this need not."""
    inner = encode([text(0x00081155, "UI", m.uid()), text(0x00100010, "PN", m.mark())])
    for level in range(levels):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF if undefined else len(inner)) + inner
        if undefined:
            item += struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
        if level < levels - 1:
            inner = encode([Item(0x00081140, "SQ", item, undefined), text(0x00100010, "PN", m.mark())])
    return Item(0x00081140, "SQ", item, undefined)


@case(31, 33)
def deep(m: Maker) -> list[Hard]:
    return [Hard(m.ct(**put(nested(m, levels, undefined=kind)))) for levels in (6, 60) for kind in (False, True)]


@case(32)
def bottomless(m: Maker) -> list[Hard]:
    far = frozenset({Reason.NESTING_LIMIT})
    inside = nested(m, 400, undefined=True).value
    private = Item(0x00191001, "SQ", inside, undefined=True)
    files = [m.ct(**put(nested(m, 400, undefined=True))), m.ct(**put(nested(m, 400, undefined=False)))]
    files.append(m.ct(**put(text(0x00190010, "LO", "ACME"), private)))
    return [Hard(data, expect=far) for data in files]


@case(34)
def unsorted(m: Maker) -> list[Hard]:
    elements = m.elements()
    patient = next(one for one in elements if one.tag == 0x00100010)
    again = [*elements[:20], text(0x00080090, "PN", m.mark()), *elements[20:]]
    twice = [one for element in elements for one in ([element, element] if element is patient else [element])]
    sorted_items: Elements = [text(0x00081155, "UI", m.uid()), text(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2")]
    inside = m.elements(**put(sequence(0x00081140, sorted_items, sort=False)))
    return [Hard(m.file(one), expect=ORDER) for one in (again, twice, inside)]


@case(35)
def groups(m: Maker) -> list[Hard]:
    more = [number(0x00080000, "UL", 4711), number(0x00100000, "UL", 12), text(0x40004000, "LT", m.mark())]
    more += [text(0x40000010, "LT", m.mark()), text(0x00081000, "LO", m.mark())]
    return [Hard(m.ct(**put(*more)), same=("KVP",))]


@case(36)
def odd_lengths(m: Maker) -> list[Hard]:
    odd = [Item(0x00180060, "DS", b"120"), Item(0x00080070, "LO", b"Marconi"), Item(0x00280010, "US", struct.pack("<H", 16))]
    odd += [Item(0x00200052, "UI", m.uid().encode()), Item(0x00280030, "DS", b"0.5\\0.5")]
    return [Hard(m.ct(**put(*odd)), same=("KVP", "Manufacturer"))]


def strange(tag: int, vr: bytes, value: bytes, *, long: bool) -> bytes:
    """An element whose VR does not exist, with a length of either size."""
    length = struct.pack("<HI", 0, len(value)) if long else struct.pack("<H", len(value))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + length + value


def among(m: Maker, *strangers: tuple[int, bytes]) -> bytes:
    """A CT with encoded elements in their places."""
    encoded = {one.tag: encode([one]) for one in m.elements()} | dict(strangers)
    return part10(b"".join(encoded[tag] for tag in sorted(encoded)), sop_uid=m.uid())


@case(36)
def bad_vr(m: Maker) -> list[Hard]:
    files = []
    for vr in (b"ZZ", b"OX", b"??", b"\0\0", b"dS"):
        for long in (False, True):
            wanted = 0x00180050, strange(0x00180050, vr, b"1.25", long=long)
            named = 0x00100010, strange(0x00100010, vr, m.mark().encode() + b" ", long=long)
            hidden = 0x00191001, strange(0x00191001, vr, m.mark().encode() + b" ", long=long)
            kept = ("KVP", "120"), ("SliceThickness", "1.25"), ("Rows", "16")
            files.append(Hard(among(m, wanted, named, hidden), kept=kept, pixels=False))
            inside = encode([text(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2")]) + named[1]
            for tag in (0x00081140, 0x00081111):
                item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + inside + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
                ended = item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
                files.append(
                    Hard(among(m, (tag, encode([Item(tag, "SQ", ended, undefined=True)]))), kept=kept, pixels=False)
                )
    # Neither length leads to another element.
    lost = strange(0x00180050, b"ZZ", b"1.25", long=False)[:6] + b"\x99\x99" + b"1.25"
    files.append(Hard(among(m, (0x00180050, lost)), expect=frozenset({Reason.MALFORMED})))
    return files


@case(37, 38, 39, 40, 41)
def sequences(m: Maker) -> list[Hard]:
    person: Elements = [text(0x00080080, "LO", m.mark()), code(0x00401101, m.mark(), "L", m.mark())]
    named: Elements = [text(0x00080054, "AE", m.mark()), text(0x00080050, "SH", m.mark()), text(0x00080092, "ST", m.mark())]
    more = [
        sequence(0x00080096, person),
        sequence(0x00081049, person),
        sequence(0x00081072, person),
        code(0x00081084, m.mark(), "L", m.mark()),
        sequence(0x00081110, named),
        sequence(
            0x00081115, [sequence(0x0008114A, [text(0x00081155, "UI", m.uid()), *named]), text(0x0020000E, "UI", m.series)]
        ),
        sequence(0x00100050, named),
        sequence(0x00101002, [text(0x00100020, "LO", m.mark()), text(0x00100022, "CS", "TEXT")]),
        sequence(0x00321064, named),
        sequence(
            0x00400275,
            [text(0x00400007, "LO", m.mark()), text(0x00400009, "SH", m.mark()), text(0x00401001, "SH", m.mark())],
        ),
        sequence(0x04000561, [sequence(0x04000550, [text(0x00100010, "PN", m.mark())]), text(0x04000563, "LO", m.mark())]),
        sequence(0x04000500, [Item(0x04000520, "OB", m.mark().encode() * 2)]),
        sequence(0x4FFE0001, [Item(0x04000404, "OB", m.mark().encode())]),
        text(0x00080054, "AE", m.mark()),
        text(0x00081190, "UR", f"http://{m.mark()}/{m.mrn}"),
        text(0x0008010C, "UI", m.uid()),
    ]
    return [Hard(m.ct(**put(*more)), same=("KVP",)), Hard(m.file(m.elements(**put(*more)), syntax=IMPLICIT), same=("KVP",))]


@case(42, 43, 44)
def labels(m: Maker) -> list[Hard]:
    more = [
        text(0x00400512, "LO", m.mark()),
        sequence(
            0x00400560, [text(0x00400551, "LO", m.mark()), text(0x00400600, "LO", m.mark()), text(0x00400554, "UI", m.uid())]
        ),
        text(0x22000002, "LT", m.mark()),
        text(0x22000005, "LT", m.mark()),
        sequence(0x00480105, [Item(0x00282000, "OB", m.mark().encode() * 8), text(0x00480106, "SH", m.mark())]),
        Item(0x00282000, "OB", b"\0\0\0\x80acsp" + m.mark().encode() * 8),
        sequence(0x00700001, [sequence(0x00700008, [text(0x00700006, "ST", m.mark())]), text(0x00700002, "CS", m.mark())]),
        text(0x00081080, "LO", m.mark()),
    ]
    return [Hard(m.ct(**put(*more)))]


@case(45)
def radiotherapy(m: Maker) -> list[Hard]:
    roi: Elements = [text(0x30060022, "IS", "1"), text(0x30060026, "LO", m.mark()), text(0x30060028, "ST", m.mark())]
    structure = m.elements(RTSTRUCT, "RTSTRUCT", t7fe00010=None)
    structure += [text(0x30060002, "SH", m.mark()), text(0x30060004, "LO", m.mark()), text(0x30060008, "DA", STUDY_DATE)]
    structure += [
        sequence(0x30060020, roi),
        sequence(0x30060080, [text(0x30060082, "IS", "1"), text(0x300600A6, "PN", m.mark())]),
    ]
    plan = m.elements(RTPLAN, "RTPLAN", t7fe00010=None)
    beam: Elements = [text(0x00080080, "LO", m.mark()), text(0x300A00B2, "SH", m.mark()), text(0x300A00C0, "IS", "1")]
    plan += [text(0x300A0002, "SH", m.mark()), text(0x300A0003, "LO", m.mark()), text(0x300A0004, "ST", m.mark())]
    plan += [sequence(0x300A00B0, [*beam, text(0x300A00C2, "LO", m.mark())]), text(0x300E0002, "CS", "APPROVED")]
    plan += [text(0x300E0004, "DA", STUDY_DATE), text(0x300E0008, "PN", m.mark())]
    return [Hard(m.file(one), pixels=False) for one in (structure, plan)]


@case(46)
def structured_report(m: Maker) -> list[Hard]:
    def content(kind: str, *value: Item) -> Elements:
        return [
            text(0x0040A010, "CS", "CONTAINS"),
            text(0x0040A040, "CS", kind),
            code(0x0040A043, "121106", "DCM", "Comment"),
            *value,
        ]

    def ordered(items: Elements) -> Elements:
        return sorted(items, key=lambda one: one.tag)

    leaf = [
        content("PNAME", text(0x0040A123, "PN", m.mark())),
        content("TEXT", text(0x0040A160, "UT", m.mark())),
        content("DATE", text(0x0040A121, "DA", STUDY_DATE)),
        content("DATETIME", text(0x0040A120, "DT", f"{STUDY_DATE}101112")),
        content("UIDREF", text(0x0040A124, "UI", m.uid())),
        content("CODE", code(0x0040A168, m.mark(), "99LOCAL", m.mark())),
        content("CODE", code(0x0040A168, "T-D3000", "SRT", m.mark())),
        content("CODE", code(0x0040A168, m.mark(), "SCT", m.mark())),
        content("CODE", code(0x0040A168, "51185008", "SCT", f"Chest {m.mark()}")),
    ]
    tree: Elements = [text(0x0040A040, "CS", "CONTAINER"), sequence(0x0040A730, *[ordered(one) for one in leaf])]
    for _ in range(4):
        tree = [text(0x0040A040, "CS", "CONTAINER"), sequence(0x0040A730, tree)]
    observer = sequence(
        0x0040A073,
        [text(0x0040A027, "LO", m.mark()), text(0x0040A030, "DT", f"{STUDY_DATE}10"), text(0x0040A075, "PN", m.mark())],
    )
    body = m.elements(SR, "SR", t7fe00010=None)
    drop = {0x00280002, 0x00280004, 0x00280010, 0x00280011, 0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280103}
    body = [one for one in body if one.tag not in drop and one.tag >> 16 != 0x28] + [*tree[:1], observer, *tree[1:]]
    return [Hard(m.file(body), pixels=False)]


@case(47, 48)
def presentation(m: Maker) -> list[Hard]:
    graphic: Elements = [
        text(0x00700002, "CS", m.mark().upper()),
        sequence(0x00700008, [text(0x00700006, "ST", m.mark()), text(0x00700012, "CS", "Y")]),
    ]
    body = m.elements(PR, "PR", t7fe00010=None)
    body = [one for one in body if one.tag >> 16 != 0x28]
    body += [
        sequence(0x00700001, graphic),
        sequence(0x00700060, [text(0x00700002, "CS", m.mark().upper()), text(0x00700068, "LO", m.mark())]),
    ]
    body += [
        text(0x00700080, "CS", m.mark().upper()),
        text(0x00700081, "LO", m.mark()),
        text(0x00700082, "DA", STUDY_DATE),
        text(0x00700084, "PN", m.mark()),
    ]
    return [Hard(m.file(body), pixels=False)]


@case(49)
def enhanced(m: Maker) -> list[Hard]:
    def frame(at: int) -> Elements:
        content: Elements = [
            text(0x00189074, "DT", f"{STUDY_DATE}10111{at}"),
            text(0x00209158, "LT", m.mark()),
            text(0x00209453, "LO", m.mark()),
        ]
        content += [Item(0x00209157, "UL", struct.pack("<I", at + 1))]
        position: Elements = [text(0x00200032, "DS", f"0\\0\\{at}")]
        return [sequence(0x00209111, sorted(content, key=lambda one: one.tag)), sequence(0x00209113, position)]

    shared: Elements = [sequence(0x00289110, [text(0x00180050, "DS", "1"), text(0x00280030, "DS", "0.5\\0.5")])]
    dimension: Elements = [
        Item(0x00209165, "AT", struct.pack("<HH", 0x20, 0x32)),
        text(0x00209164, "UI", m.uid()),
        text(0x00209421, "LO", m.mark()),
    ]
    more = [
        text(0x00280008, "IS", "3"),
        sequence(0x00209222, sorted(dimension, key=lambda one: one.tag)),
        sequence(0x52009229, shared),
        sequence(0x52009230, *[frame(at) for at in range(3)], undefined=True),
        Item(0x7FE00010, "OW", bytes(range(256)) * 6),
    ]
    return [Hard(m.file(m.elements(ENHANCED_CT, "CT", **put(*more))), same=("NumberOfFrames",))]


@case(50)
def typed_names(m: Maker) -> list[Hard]:
    words = (
        f"CT CHEST for Mr {m.mark()}",
        f"{m.mark()}",
        f"chest {m.mrn} 13/03/1947",
        "lung 123 456 7890",
        f"MR^brain_{m.mark()}",
    )
    return [
        Hard(m.ct(**put(text(0x00081030, "LO", one), text(0x0008103E, "LO", one), text(0x00181030, "LO", one))))
        for one in words
    ]

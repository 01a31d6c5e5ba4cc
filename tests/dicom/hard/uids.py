"""Cases 66 to 73: references, standard UIDs, malformed UIDs, duplicates, missing identity."""

from __future__ import annotations

from safelight.model import Reason
from tests.dicom.encoding import Item, padded, sequence, text
from tests.dicom.hard import Hard, Maker, case, put

STANDARD = ("1.2.840.10008.1.4.1.1", "2.16.840.1.113883.6.96", "1.2.840.10008.6.1.19", "1.2.840.10008.5.1.4.1.1.2")


@case(66, 67)
def references(m: Maker) -> list[Hard]:
    first = m.uid()
    pointing = [
        sequence(0x00081140, [text(0x00081150, "UI", STANDARD[3]), text(0x00081155, "UI", first)]),
        sequence(0x00082112, [text(0x00081150, "UI", STANDARD[3]), text(0x00081155, "UI", first)]),
        text(0x00083010, "UI", m.uid()),
        text(0x00200052, "UI", m.frame),
        text(0x00200200, "UI", m.uid()),
    ]
    well_known = [
        text(0x00200052, "UI", STANDARD[0]),
        sequence(
            0x00082218,
            [
                text(0x00080100, "SH", "51185008"),
                text(0x00080102, "SH", "SCT"),
                text(0x00080104, "LO", "Chest"),
                text(0x00080117, "UI", STANDARD[2]),
            ],
        ),
    ]
    return [
        Hard(m.ct(**put(text(0x00080018, "UI", first)))),
        Hard(m.ct(**put(*pointing))),
        Hard(m.ct(**put(*well_known)), same=("FrameOfReferenceUID",)),
    ]


@case(68, 69, 70, 71)
def malformed(m: Maker) -> list[Hard]:
    shapes = (
        f"1.2.826.0.1.{m.random.randrange(10**9)}.19470313",
        "1.2.3." + "9" * 80,
        "1.02.003.4",
        f"1.2.{m.mark()}.4",
        f" {m.uid()} ",
        f"{m.uid()}.",
        "not a uid at all",
    )
    files = []
    for shape in shapes:
        files.append(
            m.ct(
                **put(
                    text(0x00080018, "UI", f"{shape}{m.count}" if "Zqx" in shape else shape), text(0x00200052, "UI", shape)
                )
            )
        )
        m.study = m.uid()
    files.append(m.ct(**put(Item(0x00080018, "UI", padded(m.uid().encode() + b"\0\0\0", "UI")))))
    inside = f"see {m.uid()} of 13.03.1947"
    files.append(
        m.ct(**put(text(0x00081030, "LO", inside[:64]), text(0x00204000, "LT", inside), text(0x00181400, "LO", inside[:64])))
    )
    return [Hard(data) for data in files]


@case(72)
def duplicates(m: Maker) -> list[Hard]:
    uid = m.uid()
    one = m.elements(**put(text(0x00080018, "UI", uid)))
    other = [Item(0x00200013, "IS", b"9 ") if element.tag == 0x00200013 else element for element in one]
    return [Hard(m.file(one)), Hard(m.file(one)), Hard(m.file(other), expect=frozenset({Reason.DUPLICATE_INSTANCE}))]


@case(73)
def no_identity(m: Maker) -> list[Hard]:
    missing = frozenset({Reason.MISSING_IDENTITY})
    tags = ("t00080018", "t0020000d", "t0020000e", "t00100020", "t00080016")
    files = [m.file(m.elements(**{tag: None})) for tag in tags]
    files += [m.file(m.elements(**put(Item(int(tag[1:], 16), "UI", b"")))) for tag in tags[:3]]
    return [Hard(data, expect=missing) for data in files]

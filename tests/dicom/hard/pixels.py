"""Cases 56 and 74 to 89: burned-in text, overlays, code streams, offset tables, lengths, withheld objects, stamps."""

from __future__ import annotations

import struct
import zlib

from safelight.model import Reason
from tests.dicom.encoding import EXPLICIT, Item, encode, fragments, number, part10, sequence, text
from tests.dicom.hard import CR, Hard, Maker, case, put

S = "1.2.840.10008.5.1.4.1.1."
JPEG = "1.2.840.10008.1.2.4.50"
J2K = "1.2.840.10008.1.2.4.90"
JPEG_LS = "1.2.840.10008.1.2.4.80"
BURNED = frozenset({Reason.BURNED_IN})


def eight_bit(m: Maker, frames: int = 1, **more: Item | None) -> list[Item]:
    bits = [number(0x00280100, "US", 8), number(0x00280101, "US", 8), number(0x00280102, "US", 7)]
    return m.elements(**{**put(*bits, text(0x00280008, "IS", str(frames))), "t7fe00010": None, **more})


def jpeg(m: Maker, *extra: bytes) -> bytes:
    """A code stream with the usual segments, application data in it, and bytes that look like entropy-coded data."""

    def segment(code: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, code, len(data) + 2) + data

    exif = b"Exif\0\0II*\0" + m.mark().encode() + b" GPS 51.5N 0.1W"
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            segment(0xE1, exif),
            segment(0xFE, m.mark().encode()),
            segment(0xED, b"Photoshop 3.0\0" + m.mark().encode()),
            segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"),
            segment(0xEE, b"Adobe\0\x64\0\0\0\0\0" + m.mark().encode()),
            segment(0xDB, b"\0" + bytes(range(1, 65))),
            segment(0xC0, struct.pack(">BHHB", 8, 16, 16, 1) + b"\1\x11\0"),
            segment(0xC4, b"\0" + b"\0\1" + b"\0" * 14 + b"\0"),
            segment(0xDA, b"\1\1\0\0\x3f\0"),
            bytes(m.random.randrange(255) for _ in range(200)),
            b"\xff\0\xff\xd0\x12\xff\0",
            segment(0xFE, m.mark().encode()),
            segment(0xDA, b"\1\1\0\0\x3f\0"),
            bytes(m.random.randrange(255) for _ in range(50)),
            b"\xff\xd9",
            *extra,
        )
    )


def jpeg2000(m: Maker, *extra: bytes) -> bytes:
    def segment(code: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, code, len(data) + 2) + data

    size = segment(0x51, struct.pack(">HIIIIIIIIH", 0, 16, 16, 0, 0, 16, 16, 0, 0, 1) + b"\7\1\1")
    style = segment(0x52, b"\0\0\0\1\0\1\4\4\0\1")
    quantum = segment(0x5C, b"\x40\x40\x48\x50")
    comment = segment(0x64, b"\0\1" + m.mark().encode())
    tile_comment = segment(0x64, b"\0\1" + m.mark().encode())
    data = bytes(m.random.randrange(255) for _ in range(120))
    length = 12 + len(tile_comment) + 2 + len(data)
    tile = struct.pack(">HHHIBB", 0xFF90, 10, 0, length, 0, 1) + tile_comment + b"\xff\x93" + data
    return b"".join((b"\xff\x4f", size, comment, style, quantum, comment, tile, b"\xff\xd9", *extra))


def compressed(m: Maker, frames: list[bytes], syntax: str, *, table: bool = False, **more: Item | None) -> bytes:
    elements = eight_bit(m, len(frames), **more)
    return m.file(elements, syntax=syntax, tail=fragments(frames, table=table))


@case(56, 84)
def lengths(m: Maker) -> list[Hard]:
    noise = bytes(range(256)) * 2
    files = [
        m.ct(**put(Item(0x7FE00010, "OW", noise + m.mark().encode() + b"\0" * 8))),
        m.ct(**put(Item(0x7FE00010, "OW", noise + (m.mark() * 50).encode() + b"\0" * 50))),
        m.file(
            eight_bit(
                m, **put(number(0x00280010, "US", 5), number(0x00280011, "US", 5), Item(0x7FE00010, "OB", bytes(25) + b"Z"))
            )
        ),
        m.file(
            eight_bit(
                m,
                3,
                **put(
                    number(0x00280010, "US", 3),
                    number(0x00280011, "US", 3),
                    number(0x00280100, "US", 1),
                    number(0x00280101, "US", 1),
                    number(0x00280102, "US", 0),
                    Item(0x7FE00010, "OB", b"\xaa\xbb\xcc\x05"),
                ),
            )
        ),
    ]
    short = m.ct(**put(Item(0x7FE00010, "OW", bytes(100))))
    return [*(Hard(data) for data in files), Hard(short, expect=frozenset({Reason.PIXEL_DATA}))]


@case(74)
def burned_in(m: Maker) -> list[Hard]:
    no = text(0x00280301, "CS", "NO")
    files = [m.file(m.elements(S + uid, modality, **put(no))) for uid, modality in (
        ("6.1", "US"), ("3.1", "US"), ("7", "OT"), ("12.1", "XA"), ("12.2", "RF"), ("7.2", "CT"), ("77.1.1", "ES"),
    )]  # fmt: skip
    signs = [
        [text(0x00280301, "CS", "YES")],
        [text(0x00080008, "CS", "DERIVED\\SECONDARY\\SCREEN SAVE")],
        [text(0x0008103E, "LO", "Dose Report")],
        [text(0x00080064, "CS", "WSD")],
        [text(0x00181016, "LO", "Grabber")],
        [text(0x00280004, "CS", "RGB"), number(0x00280002, "US", 3), Item(0x7FE00010, "OW", bytes(1536))],
    ]
    files += [m.ct(**put(no, *one)) if one[0].tag != no.tag else m.ct(**put(*one)) for one in signs]
    return [Hard(data, expect=BURNED) for data in files]


@case(75, 77)
def overlays(m: Maker) -> list[Hard]:
    planes: list[Item] = []
    for group in range(0x6000, 0x6020, 2):
        planes += [
            number(group << 16 | 0x10, "US", 16),
            number(group << 16 | 0x11, "US", 16),
            text(group << 16 | 0x40, "CS", "G"),
        ]
        planes += [text(group << 16 | 0x22, "LO", m.mark()), Item(group << 16 | 0x3000, "OW", (m.mark() * 4).encode()[:32])]
        planes += [text(group << 16 | 0x4000, "LT", m.mark()), text(group << 16 | 0x1500, "LO", m.mark())]
    curves = [text(0x50002500, "LO", m.mark()), Item(0x50003000, "OW", m.mark().encode())]
    return [Hard(m.ct(**put(*planes, *curves)))]


@case(76)
def high_bits(m: Maker) -> list[Hard]:
    files = []
    secret = (m.mark() + m.mark()).encode()
    bits = [bit for byte in secret for bit in (byte >> place & 1 for place in range(8))]
    for stored, signed, high in ((12, 0, 11), (12, 1, 11), (10, 0, 9), (12, 0, 15)):
        shift = high + 1 - stored
        values = []
        for index in range(256):
            sample = m.random.randrange(1 << stored)
            hidden = bits[index] if index < len(bits) else 0
            free = stored if shift == 0 else 0
            word = sample << shift | hidden << free
            values.append(word)
        more = put(
            number(0x00280101, "US", stored),
            number(0x00280102, "US", high),
            number(0x00280103, "US", signed),
            number(0x60000100, "US", 16),
            number(0x60000102, "US", 12),
            Item(0x7FE00010, "OW", struct.pack("<256H", *values)),
        )
        files.append(Hard(m.ct(**more), pixels=False))
    return files


@case(78)
def icons(m: Maker) -> list[Hard]:
    icon = [number(0x00280010, "US", 2), number(0x00280011, "US", 8), Item(0x7FE00010, "OB", m.mark().encode())]
    inner = sequence(0x00081140, [text(0x00081155, "UI", m.uid()), sequence(0x00880200, icon)])
    return [Hard(m.ct(**put(sequence(0x00880200, icon), inner)))]


@case(79, 80, 81, 82)
def code_streams(m: Maker) -> list[Hard]:
    many = [jpeg(m) for _ in range(3)]
    offsets = []
    place = 0
    for one in many:
        offsets.append(place)
        place += 8 + len(one) + len(one) % 2
    extended = put(
        Item(0x7FE00001, "OV", struct.pack("<3Q", *offsets)), Item(0x7FE00002, "OV", struct.pack("<3Q", *map(len, many)))
    )
    files = [
        compressed(m, [jpeg(m)], JPEG),
        compressed(m, [jpeg(m, m.mark().encode())], JPEG),
        compressed(m, [jpeg(m)], JPEG_LS),
        compressed(m, [jpeg(m) for _ in range(3)], JPEG, table=True),
        compressed(m, [jpeg(m) for _ in range(3)], JPEG),
        compressed(m, [jpeg2000(m)], J2K),
        compressed(m, [jpeg2000(m, m.mark().encode())], J2K),
        compressed(m, [jpeg2000(m) for _ in range(2)], J2K, table=True),
        compressed(m, many, JPEG, **extended),
    ]
    broken = [
        compressed(m, [jpeg(m)[:-60]], JPEG),
        compressed(m, [b"JUNK" + m.mark().encode()], JPEG),
        compressed(m, [], JPEG),
    ]
    bad = frozenset({Reason.PIXEL_DATA, Reason.TRUNCATED})
    return [*(Hard(data, pixels=False) for data in files), *(Hard(data, expect=bad) for data in broken)]


@case(83, 85, 86)
def withheld(m: Maker) -> list[Hard]:
    kinds = [
        (S + "104.1", EXPLICIT, Reason.ENCAPSULATED_DOCUMENT),
        (S + "104.2", EXPLICIT, Reason.ENCAPSULATED_DOCUMENT),
        (S + "66", EXPLICIT, Reason.RAW_DATA),
        (S + "4.2", EXPLICIT, Reason.RAW_DATA),
        (S + "77.1.1.1", EXPLICIT, Reason.VIDEO),
        (S + "9.1.1", EXPLICIT, Reason.SOP_CLASS_NOT_ALLOWED),
    ]
    files = []
    for uid, syntax, reason in kinds:
        document = Item(0x00420011, "OB", b"%PDF" + zlib.compress(m.mark().encode()) + m.mark().encode())
        body = encode(m.elements(uid, "OT", **put(document), t7fe00010=None))
        files.append(Hard(part10(body, syntax=syntax, sop_class=uid), expect=frozenset({reason})))
    video = part10(encode(m.elements()), syntax="1.2.840.10008.1.2.4.102")
    return [*files, Hard(video, expect=frozenset({Reason.VIDEO}))]


@case(87, 88)
def believed_stamps(m: Maker) -> list[Hard]:
    claims = [text(0x00120062, "CS", "YES"), text(0x00120063, "LO", m.mark()), text(0x00280301, "CS", "NO")]
    claims += [sequence(0x00120064, [text(0x00080100, "SH", m.mark()), text(0x00080104, "LO", m.mark())])]
    claims += [text(0x00280303, "CS", "REMOVED")]
    return [Hard(m.ct(**put(*claims)))]


@case(89)
def radiograph(m: Maker) -> list[Hard]:
    return [Hard(m.file(m.elements(CR, "CR")), same=("Modality",))]


def rle(m: Maker, *extra: bytes) -> bytes:
    """A frame of two segments, with bytes between and after them that no sample needs."""
    runs = b"".join(bytes((15,)) + bytes(m.random.randrange(256) for _ in range(16)) for _ in range(16))
    first = runs + m.mark().encode()
    return struct.pack("<16I", 2, 64, 64 + len(first), *[0] * 13) + first + runs + b"".join(extra)


@case(56, 81)
def run_lengths(m: Maker) -> list[Hard]:
    syntax = "1.2.840.10008.1.2.5"
    files = [
        m.file(m.elements(t7fe00010=None), syntax=syntax, tail=fragments([rle(m, *more)]))
        for more in ((), (m.mark().encode(),))
    ]
    short = m.file(m.elements(t7fe00010=None), syntax=syntax, tail=fragments([rle(m)[:300]]))
    return [*(Hard(data, pixels=False) for data in files), Hard(short, expect=frozenset({Reason.PIXEL_DATA}))]


@case(42)
def slides(m: Maker) -> list[Hard]:
    slide = S + "77.1.6"
    volume = m.file(m.elements(slide, "SM", **put(text(0x00080008, "CS", "ORIGINAL\\PRIMARY\\VOLUME\\NONE"))))
    label = m.file(m.elements(slide, "SM", **put(text(0x00080008, "CS", "ORIGINAL\\PRIMARY\\LABEL\\NONE"))))
    return [Hard(volume), Hard(label, expect=BURNED)]

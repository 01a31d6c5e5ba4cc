"""Cases 51 to 65: preamble, file meta group, transfer syntax, truncation, names."""

from __future__ import annotations

import struct
import zlib

from safelight.model import Reason
from tests.dicom.encoding import BIG, DEFLATED, EXPLICIT, IMPLICIT, Item, encode, part10, sequence, text
from tests.dicom.hard import Hard, Maker, case, put

NOT = frozenset({Reason.NOT_DICOM, Reason.TRUNCATED, Reason.MISSING_IDENTITY, Reason.MALFORMED})
MISMATCH = frozenset({Reason.TRANSFER_SYNTAX_MISMATCH, Reason.MALFORMED, Reason.TRUNCATED})


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@case(51, 52, 53)
def around(m: Maker) -> list[Hard]:
    titles = [text(0x00020016, "AE", m.mark()), text(0x00020017, "AE", m.mark()), text(0x00020018, "AE", m.mark())]
    titles += [
        text(0x00020013, "SH", m.mark()),
        text(0x00020026, "UR", f"http://{m.mark()}"),
        text(0x00020100, "UI", m.uid()),
    ]
    titles += [Item(0x00020102, "OB", m.mark().encode())]
    body = encode(m.elements())
    files = [part10(body, more_meta=titles, sop_uid=m.uid(), preamble=(m.mark() * 20).encode()[:128])]
    for magic in (b"MZ\x90\0", b"II*\0\x08\0\0\0"):
        files.append(part10(body, preamble=(magic + m.mark().encode() * 20)[:128]))
    return [Hard(data, same=("KVP",)) for data in files]


@case(54)
def trailing(m: Maker) -> list[Hard]:
    return [Hard(m.file(m.elements(), tail=tail)) for tail in (m.mark().encode() * 9, b"\0" * 512 + m.mark().encode(), b"x")]


@case(57)
def other_syntaxes(m: Maker) -> list[Hard]:
    elements = m.elements(**put(sequence(0x00081140, [text(0x00081155, "UI", m.uid()), text(0x00100010, "PN", m.mark())])))
    files = [m.file(elements, syntax=BIG), m.file(elements, syntax=IMPLICIT)]
    files.append(part10(deflated(encode(elements)), syntax=DEFLATED))
    files.append(part10(deflated(encode(elements)) + b"\0", syntax=DEFLATED))
    return [Hard(data, same=("KVP", "Rows")) for data in files]


@case(58)
def no_meta(m: Maker) -> list[Hard]:
    elements = m.elements()
    whole = m.file(elements)
    files = [encode(elements), encode(elements, implicit=True), encode(elements, big=True), whole[132:]]
    return [Hard(data, same=("KVP",)) for data in files]


@case(59)
def mismatch(m: Maker) -> list[Hard]:
    elements = m.elements()
    wrong = [(EXPLICIT, encode(elements, implicit=True)), (IMPLICIT, encode(elements)), (BIG, encode(elements))]
    wrong += [
        (EXPLICIT, encode(elements, big=True)),
        (DEFLATED, encode(elements)),
        ("1.2.840.10008.1.2.4.50", encode(elements)),
    ]
    files = [Hard(part10(body, syntax=syntax), expect=MISMATCH) for syntax, body in wrong]
    unknown = frozenset({Reason.TRANSFER_SYNTAX_UNSUPPORTED})
    return [*files, Hard(part10(encode(elements), syntax="1.2.3.4.5"), expect=unknown)]


@case(60)
def not_dicom(m: Maker) -> list[Hard]:
    files = [b"", b"\0" * 200, m.mark().encode() * 100, b"\xff\xd8\xff\xe0" + m.mark().encode(), b"\0" * 128 + b"DICM"]
    files += [part10(b""), b"\0" * 128 + b"DICM" + m.mark().encode() * 20]
    return [Hard(data, expect=NOT | {Reason.TRANSFER_SYNTAX_MISMATCH}) for data in files]


@case(61)
def bomb(m: Maker) -> list[Hard]:
    body = encode([one for one in m.elements() if one.tag < 0x00104000])
    body += struct.pack("<HH2sHI", 0x11, 0x10, b"OB", 0, 1 << 26)
    return [Hard(part10(deflated(body + b"\0" * (1 << 26)), syntax=DEFLATED), expect=frozenset({Reason.INFLATE_LIMIT}))]


@case(62)
def large_private(m: Maker) -> list[Hard]:
    large = [text(0x00190010, "LO", "ACME"), Item(0x00191001, "OB", m.mark().encode() * (4 << 16))]
    return [Hard(m.ct(**put(*large)), same=("KVP",))]


@case(63)
def directory_and_truncated(m: Maker) -> list[Hard]:
    listing = [text(0x00041130, "CS", m.mark().upper()), sequence(0x00041220, [text(0x00100010, "PN", m.mark())])]
    files = [Hard(part10(encode(listing), sop_class="1.2.840.10008.1.3.10"), expect=frozenset({Reason.DICOMDIR}))]
    whole = m.ct()
    for at in (140, 300, 700, len(whole) - 600, len(whole) - 300, len(whole) - 2):
        files.append(Hard(whole[:at], expect=NOT | {Reason.PIXEL_DATA, Reason.TRANSFER_SYNTAX_MISMATCH}))
    lies = whole.replace(b"\x18\0\x60\0DS\x04\0", b"\x18\0\x60\0DS\xfe\xff")
    files.append(Hard(lies, expect=NOT | {Reason.ELEMENT_ORDER}))
    return files


@case(64, 65)
def paths(m: Maker) -> list[Hard]:
    hostile = ("../../../tmp/zqx", "/etc/zqx", "1.2.3/../../4", "..", "1.2\\3")
    return [Hard(m.ct(**put(text(0x00080018, "UI", one), text(0x0020000D, "UI", f"{one}.{m.count}")))) for one in hostile]

"""What to do with one element, found by the bytes of its header: the tables that the byte loop looks up."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from safelight.dicom.passages import Passages
from safelight.dicom.vr import ALL, LONG_HEADER

KEEP, KEEP_NOTED, SEQUENCE, CHANGE, CONSTANT, NOTED, PIXELS, CHARSET, CODED = range(9)
#: What the byte loop does at once, by an element's header alone. SLOW: whatever needs a closer look. UNKNOWN: a VR that
#: does not exist, so that nobody knows how long its length is.
DROP, PRIVATE, KEPT, KNOWN, REPLACE, NOTE, SLOW, UNKNOWN = range(8)
#: No bound on a value's length; below the length that means undefined.
FOREVER: Final = 2**32 - 2
#: Headers remembered per table, and values per element; then the memory starts anew, so that neither a long batch nor
#: a hostile file lets a worker grow.
HEADERS: Final = 8192
REMEMBERED: Final = 1024
LONGEST_REMEMBERED: Final = 256
#: What a remembered result may depend on besides the value: all of it is in the state's context.
_REMEMBERED_PER: Final = frozenset({"", "days", "charset", "instance"})
PIXEL_REPRESENTATION: Final = 0x00280103
#: A private creator is an LO (PS3.5 section 7.8.1).
LONGEST_CREATOR: Final = 64

#: Stands for all VRs that do not exist.
NO_VR: Final = b"??"

_TAG = struct.Struct("<HH").unpack_from

Act = Callable[[bytes, "State"], bytes | None]


class State:
    """What a step may ask about the instance in hand.

    Args:
        days: the date shift, if it is known.
        patient: a number that stands for what is known of the patient.
    """

    __slots__ = (
        "charset", "code", "concept", "context", "days", "patient", "pixel_representation", "signed", "study_year",
    )  # fmt: skip

    def __init__(self, days: int | None = None, patient: int = 0) -> None:
        self.days = days
        self.patient = patient
        self.study_year: int | None = None
        self.pixel_representation = 0
        #: whether the value in hand is signed, where the dictionary leaves the choice
        self.signed = False
        #: scheme and value of the coded entry met last, and of the one that names the content item in hand
        self.code = self.concept = ("", "")
        self.declare(())

    def declare(self, charset: tuple[str, ...] | None) -> None:
        """Take up a character set: its Python codecs, () where none is declared, None where it is not a known one."""
        self.charset = charset
        #: All that the result of an operation may depend on besides the value, unless it looks at other elements.
        self.context = (self.days, charset, self.patient)


@dataclass(slots=True)
class Detail:
    """The rarely needed part of a step.

    Args:
        tag: the element.
        vrs: VRs that an explicit file may give it.
        check: what a kept value must look like, or None for binary.
        act: the operation; ``per`` says what its result depends on besides the value: nothing, ``days`` (the date shift),
            ``charset``, ``instance`` (these, and what is known of the patient) or ``year`` (of the study).
        constant: the encoded element to write instead.
        fallback: the encoded element to write when the value has to go: empty where the class needs the element.
        option: bit of the option of PS3.15 E.3 that this step applies.
        items: steps for the items of a sequence.
        closed: ``check`` lets nothing through that is not on a list, so the file's VR does not matter.
    """

    tag: int
    vrs: frozenset[bytes]
    check: Callable[[bytes], bytes | None] | None = None
    act: Act | None = None
    per: str = ""
    constant: bytes = b""
    fallback: bytes = b""
    option: int = 0
    items: Table | None = None
    dated: bool = False
    closed: bool = False


class Step(NamedTuple):
    """What to do with one element: kind, expected VR, size mask, longest value, values known good, detail."""

    kind: int
    vr: bytes
    mask: int
    limit: int
    known: set[bytes] | None
    detail: Detail


class Block(NamedTuple):
    """A private block of one data set: what rules say of its offsets, its creator, and where that has to stand."""

    steps: dict[int, Step]
    creator: bytes
    place: int
    out: list[bytes]


#: Blocks by the upper 24 bits of their elements' tags.
Blocks = dict[int, Block]


#: The step of an element that no rule names: it goes.
NOTHING: Final = Step(NOTED, b"", 0, FOREVER, None, Detail(0, frozenset()))


class Head:
    """What tag and VR alone decide about an element.

    ``memo``: for an operation whose result follows from the value (and, where it ``varies``, the state's context), the
    encoded elements that came of it; for a kept element what stands in the place of values that can't be kept.
    """

    __slots__ = (
        "action", "constant", "dated", "fickle", "known", "limit", "long", "mask", "memo", "noted", "option", "step", "tag",
        "varies", "vr",
    )  # fmt: skip

    def __init__(self, tag: int, vr: bytes, step: Step, *, private: bool, watched: bool) -> None:
        self.tag = tag
        self.vr = vr
        self.long = vr in LONG_HEADER
        self.step = step
        self.noted = watched
        self.memo: dict[object, bytes] = {}
        self.mask = self.limit = self.option = 0
        self.known: set[bytes] | None = None
        self.constant = b""
        self.dated = self.varies = False
        #: whether it was seen to differ between instances of one patient, or to hold more than is worth remembering
        self.fickle = False
        if step is not NOTHING:
            self.action = self._of(step)
        elif tag >> 16 == 0xFFFE or (private and tag & 0xFFFF < 0x1000):
            # Items and delimiters have no VR; what they may mean where they stand is for the slower path.
            self.action = SLOW
        else:
            self.action = PRIVATE if private else DROP

    def _of(self, step: Step) -> int:
        detail = step.detail
        self.option = detail.option
        if step.kind <= KEEP_NOTED and self.vr == step.vr and self.tag != PIXEL_REPRESENTATION:
            self.mask, self.limit, self.known = step.mask, step.limit, step.known
            self.noted = step.kind == KEEP_NOTED
            return KEPT
        if step.kind == CONSTANT:
            self.constant = detail.constant
            return REPLACE
        if step.kind == NOTED and self.tag != PIXEL_REPRESENTATION:
            return NOTE
        if step.kind == CHANGE and detail.per in _REMEMBERED_PER and len(detail.vrs) == 1:
            self.dated = detail.dated
            self.varies = detail.per != ""
            return KNOWN
        return SLOW

    def replace(self, raw: bytes, fixed: bytes) -> None:
        """Keep what stands in the place of a value that can't be kept as it is; empty where it goes.

        Beyond ASCII that depends on the character set, so it is found out each time.
        """
        if raw.isascii() and b"\x1b" not in raw and len(raw) <= LONGEST_REMEMBERED:
            if len(self.memo) >= REMEMBERED:
                self.memo.clear()
            self.memo[raw] = fixed

    def remember(self, raw: bytes, context: object, encoded: bytes) -> None:
        """Keep what came of a value, to be written at once when it is met again."""
        if self.action == KNOWN and len(encoded) > 8 and len(raw) <= LONGEST_REMEMBERED:
            if len(self.memo) >= REMEMBERED:
                self.memo.clear()
            self.memo[(raw, context) if self.varies else raw] = encoded


class Table(dict[int, Step]):
    """Steps by tag, and what the headers met so far decide, by their first bytes: tag and, in Explicit VR, VR."""

    __slots__ = ("explicit", "implicit", "passages", "private_groups", "watched")

    def __init__(
        self, steps: dict[int, Step], private_groups: frozenset[int], watched: frozenset[int] = frozenset()
    ) -> None:
        super().__init__(steps)
        self.private_groups = private_groups
        self.watched = watched
        self.explicit: dict[bytes, Head] = {}
        self.implicit: dict[bytes, Head] = {}
        #: of explicit and of implicit files
        self.passages = (Passages(self.explicit, implicit=False), Passages(self.implicit, implicit=True))

    def head(self, key: bytes, *, implicit: bool) -> Head:
        """Return what a header decides that was not met before."""
        group, number = _TAG(key)
        vr = b"" if implicit else key[4:6]
        tag = group << 16 | number
        exists = implicit or vr in ALL or group == 0xFFFE
        step = self.get(tag, NOTHING)
        head = Head(tag, vr if exists else NO_VR, step, private=group in self.private_groups, watched=tag in self.watched)
        if not exists:
            head.action, head.long = UNKNOWN, False
        heads = self.implicit if implicit else self.explicit
        if len(heads) >= HEADERS:
            heads.clear()
        heads[key] = head
        return head

"""What becomes of one element and of one sequence: the slower paths of the byte loop, and all of it inside items."""

from __future__ import annotations

import struct
from typing import Final

from safelight.dicom.charset import declared, decode
from safelight.dicom.codes import LONG_VALUE, clean_entry
from safelight.dicom.content import CONCEPT_NAME
from safelight.dicom.program import Program
from safelight.dicom.skip import MORE, UNDEFINED, skip_undefined
from safelight.dicom.steps import (
    CHARSET,
    CODED,
    CONSTANT,
    DROP,
    KEEP_NOTED,
    KEPT,
    KNOWN,
    LONGEST_CREATOR,
    LONGEST_REMEMBERED,
    NOTED,
    NOTHING,
    PIXEL_REPRESENTATION,
    PIXELS,
    PRIVATE,
    REMEMBERED,
    SEQUENCE,
    SLOW,
    UNKNOWN,
    Block,
    Blocks,
    Head,
    State,
    Step,
    Table,
)
from safelight.dicom.unknown import unknown_extent, written_vr
from safelight.dicom.values import element
from safelight.dicom.vr import ALL, CHARSET_TEXT, fits, reads_as_text
from safelight.errors import StudyRejected
from safelight.model import Reason

MAX_DEPTH: Final = 64
ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD
_ITEM_HEAD: Final = b"\xfe\xff\x00\xe0"
_STUDY_DATE: Final = 0x00080020

_EXPLICIT = struct.Struct("<6sH").unpack_from
_IMPLICIT = struct.Struct("<4sI").unpack_from
_ITEM_TAG = struct.Struct("<HHI").unpack_from
_LENGTH = struct.Struct("<I").unpack_from
_U16 = struct.Struct("<H").unpack_from


class ElementStep:
    """Carries out steps on single elements and sequences, and counts."""

    def __init__(self, program: Program, state: State) -> None:
        self._program = program
        self._state = state
        self.noted: dict[int, bytes] = {}
        self._codes = program.codes
        self.kept = 0
        self.changed = 0
        self.removed = 0
        #: bits of the options of PS3.15 E.3 that were taken up in this instance
        self.options = 0
        #: whether any date was shifted
        self.dated = False

    def _good(self, step: Step, raw: bytes) -> bool:
        """Tell whether a kept value may stand as it is, and remember it if that is always so."""
        check = step.detail.check
        if reads_as_text(raw) if check is None else check(raw) is not raw:
            return False
        if not raw.isascii() or b"\x1b" in raw:
            # Bytes beyond ASCII mean something only under a character set that is declared and known.
            charset = self._state.charset
            return step.vr not in CHARSET_TEXT or (bool(charset) and fits(decode(raw, charset), step.vr))
        known = step.known
        if known is not None:
            if len(known) >= REMEMBERED:
                known.clear()
            if len(raw) <= LONGEST_REMEMBERED:
                known.add(raw)
        return True

    def _constant(self, step: Step) -> bytes:
        self.changed += 1
        return step.detail.constant

    def _gone(self, step: Step) -> bytes:
        self.removed += 1
        return step.detail.fallback

    def _element(self, head: Head, step: Step, raw: bytes) -> bytes:
        """Return the encoded element that comes of a value, or nothing."""
        kind = step.kind
        detail = step.detail
        state = self._state
        if kind == NOTED:
            if detail.tag == PIXEL_REPRESENTATION and len(raw) == 2:
                state.pixel_representation = _U16(raw)[0]
            self.removed += 1
            return b""
        if kind == CONSTANT:
            return self._constant(step)
        if kind == CODED:
            # A code outside an item says nothing, and nothing there can be checked against it.
            self.removed += 1
            return b""
        actual = written_vr(step, head.vr, len(raw), signed=bool(state.pixel_representation))
        if actual is None:
            return self._gone(step)
        if kind == CHARSET:
            state.declare(declared(raw))
            if state.charset is None:
                return self._gone(step)
            self.kept += 1
            return element(detail.tag, b"CS", raw)
        if kind <= KEEP_NOTED:
            return self._keep(head, step, actual, raw)
        state.signed = actual == b"SS"
        new = self._act(step, raw)
        if new is None:
            return self._gone(step)
        encoded = self._changed(step, actual, new)
        head.remember(raw, state.context, encoded)
        return encoded

    def _changed(self, step: Step, vr: bytes, value: bytes) -> bytes:
        self.changed += 1
        self.options |= step.detail.option
        if step.detail.dated and value:
            self.dated = True
        return element(step.detail.tag, vr, value)

    def _act(self, step: Step, raw: bytes) -> bytes | None:
        act = step.detail.act
        if act is None:
            return None
        if step.detail.per == "year":
            digits = self.noted.get(_STUDY_DATE, b"").strip(b" \0")[:4]
            self._state.study_year = int(digits) if digits.isdigit() and len(digits) == 4 else None
        return act(raw, self._state)

    def _keep(self, head: Head, step: Step, vr: bytes, raw: bytes) -> bytes:
        detail = step.detail
        if detail.tag == PIXEL_REPRESENTATION and len(raw) == 2:
            self._state.pixel_representation = _U16(raw)[0]
        if detail.check is not None and raw and (step.known is None or raw not in step.known):
            # The header of a private element does not say whose it is, so nothing can be remembered by it.
            named = step is head.step
            fixed = head.memo.get(raw) if named else None
            if fixed is None:
                found = detail.check(raw)
                fixed = found if found is not None and self._good(step, found) else b""
                if named and fixed is not raw:
                    head.replace(raw, fixed)
            if not fixed:
                return self._gone(step)
            if fixed is not raw:
                self.changed += 1
                self.options |= detail.option
                return element(detail.tag, vr, fixed)
        elif detail.check is None and (len(raw) & step.mask or len(raw) > step.limit or reads_as_text(raw)):
            return self._gone(step)
        self.kept += 1
        self.options |= detail.option
        return element(detail.tag, vr, raw)

    def _creator(self, tag: int, length: int, raw: bytes, blocks: Blocks, out: list[bytes]) -> None:
        """Remember a private creator that rules know, and leave a place where it is written if an element needs it."""
        if length > LONGEST_CREATOR or not 0x10 <= tag & 0xFFFF <= 0xFF:
            return
        name = raw.strip(b" \0").decode("latin-1")
        steps = self._program.private_blocks.get((tag >> 16, name))
        if steps is not None:
            creator = element(tag, b"LO", name.encode("latin-1"))
            blocks[tag >> 16 << 8 | tag & 0xFF] = Block(steps, creator, len(out), out)
            out.append(b"")

    def _private_step(self, tag: int, blocks: Blocks) -> Step:
        """Return the step of a private element by its creator, and have the creator written."""
        block = blocks.get(tag >> 8)
        if block is None or tag & 0xFF not in block.steps:
            return NOTHING
        block.out[block.place] = block.creator
        # The same offset can lie in any block, so the step's element number is this file's.
        step = block.steps[tag & 0xFF]
        step.detail.tag = tag
        if step.kind == CONSTANT:
            step.detail.constant = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + step.detail.constant[4:]
        return step

    # -- sequences

    def _sequence(
        self, step: Step, data: bytes, value: int, stop: int, vr: bytes, implicit: bool, depth: int, out: list[bytes]
    ) -> None:
        """Append a sequence piece by piece: that of a long multi-frame is too large to be copied level by level."""
        if vr not in _SEQUENCE_VRS:
            out.append(self._gone(step))
            return
        if depth > MAX_DEPTH:
            raise StudyRejected(Reason.NESTING_LIMIT)
        if vr == b"UN":
            implicit = True
        # A private one may hold others of its creator, in another block.
        tag_of_sequence = step.detail.tag
        items = step.detail.items or self._program.items
        place = len(out)
        out.append(b"")
        length = 0
        withheld = False
        pos = value
        while pos < stop:
            if pos + 8 > stop:
                raise StudyRejected(Reason.MALFORMED)
            group, number, size = _ITEM_TAG(data, pos)
            tag = group << 16 | number
            pos += 8
            if tag == SEQUENCE_END:
                break
            if tag != ITEM:
                raise StudyRejected(Reason.MALFORMED)
            if size != UNDEFINED and pos + size > stop:
                raise StudyRejected(Reason.MALFORMED)
            item, pos = self._item(items, data, pos, stop if size == UNDEFINED else pos + size, size, implicit, depth)
            if item is None:
                self.removed += 1
                withheld = True
                continue
            self.options |= step.detail.option
            out.append(_ITEM_HEAD + struct.pack("<I", len(item)) + item)
            length += 8 + len(item)
        if withheld and not length:
            out[place] = self._gone(step)
            return
        out[place] = struct.pack("<HH2sHI", tag_of_sequence >> 16, tag_of_sequence & 0xFFFF, b"SQ", 0, length)
        self.kept += 1

    def _item(
        self, table: Table, data: bytes, pos: int, end: int, size: int, implicit: bool, depth: int
    ) -> tuple[bytes | None, int]:
        """Return an item's new content, or None where its concept may not come out, and the offset after the item."""
        state = self._state
        outer_concept, named = state.concept, False
        outer, outer_representation = state.charset, state.pixel_representation
        context = state.context
        out: list[bytes] = []
        blocks: Blocks = {}
        heads = table.implicit if implicit else table.explicit
        unpack = _IMPLICIT if implicit else _EXPLICIT
        coded: dict[int, bytes] = {}
        places: dict[int, int] = {}
        last = run = -1
        while pos < end:
            if pos + 8 > end:
                raise StudyRejected(Reason.MALFORMED)
            key, length = unpack(data, pos)
            try:
                head = heads[key]
            except KeyError:
                head = table.head(key, implicit=implicit)
            tag = head.tag
            if tag == ITEM_END and size == UNDEFINED:
                break
            if tag <= last:
                raise StudyRejected(Reason.ELEMENT_ORDER)
            last = tag
            value = pos + 8
            if head.long:
                if pos + 12 > end:
                    raise StudyRejected(Reason.MALFORMED)
                length = _LENGTH(data, value)[0]
                value = pos + 12
            stop = value + length
            action = head.action
            if stop <= end:
                if (
                    action == KEPT
                    and not length & head.mask
                    and length <= head.limit
                    and (
                        head.known is None
                        or (raw := data[value:stop]) in head.known
                        or (raw not in head.memo and self._good(head.step, raw))
                    )
                ):
                    if run < 0:
                        run = pos
                    self.kept += 1
                    self.options |= head.option
                    pos = stop
                    continue
                if run >= 0:
                    out.append(data[run:pos])
                    run = -1
                if action == DROP:
                    self.removed += 1
                    pos = stop
                    continue
                if action == KNOWN:
                    raw = data[value:stop]
                    new = head.memo.get((raw, context) if head.varies else raw)
                    if new is not None:
                        out.append(new)
                        self.changed += 1
                        self.options |= head.option
                        self.dated = self.dated or head.dated
                        pos = stop
                        continue
            elif run >= 0:
                out.append(data[run:pos])
                run = -1
            vr = head.vr
            if action == UNKNOWN:
                value, stop = unknown_extent(lambda count, at: data[at : at + count], pos, end)
                length = stop - value
            elif not implicit and vr not in ALL:
                raise StudyRejected(Reason.MALFORMED)
            step = head.step
            if action == PRIVATE:
                step = self._private_step(tag, blocks)
            if length == UNDEFINED:
                stop = skip_undefined(data, value, implicit or vr == b"UN", MAX_DEPTH)
                if stop == MORE:
                    raise StudyRejected(Reason.MALFORMED)
            if stop > end:
                raise StudyRejected(Reason.MALFORMED)
            if step is NOTHING:
                self.removed += 1
                if action == SLOW:
                    self._creator(tag, length, data[value:stop], blocks, out)
            elif step.kind == SEQUENCE:
                self._sequence(step, data, value, stop, vr, implicit, depth + 1, out)
                if tag == CONCEPT_NAME:
                    state.concept, named = state.code, True
            elif step.kind == CONSTANT:
                out.append(self._constant(step))
            elif length == UNDEFINED or step.kind == PIXELS:
                self.removed += 1
            elif step.kind == CODED:
                coded[tag] = data[value:stop]
                places[tag] = len(out)
                out.append(b"")
            else:
                out.append(self._element(head, step, data[value:stop]))
                context = state.context
            pos = stop
        if run >= 0:
            out.append(data[run:pos])
        if coded:
            self._code(coded, places, out)
        state.declare(outer)
        state.pixel_representation = outer_representation
        withheld = named and state.concept in self._program.withheld
        state.concept = outer_concept
        return None if withheld else b"".join(out), pos + 8 if size == UNDEFINED else pos

    def _code(self, coded: dict[int, bytes], places: dict[int, int], out: list[bytes]) -> None:
        """Write a coded entry where its elements stood, as it may come out."""
        # Which words of a meaning may stay depends on whose it is: a word of the vocabulary can be this patient's name.
        key = (self._state.charset, self._state.patient, *sorted(coded.items()))
        entry = self._codes.get(key)
        if entry is None:
            entry = clean_entry(coded, self._state.charset, self._program.label)
            if len(self._codes) >= REMEMBERED:
                self._codes.clear()
            self._codes[key] = entry
        elements, same, self._state.code = entry
        if same:
            self.kept += len(coded)
        else:
            self.changed += len(coded)
        # (0008,0100) to (0008,0104) are neighbours: the first place can hold them all, in order.
        for tag, encoded in elements.items():
            if tag == LONG_VALUE:
                out[places[LONG_VALUE]] = encoded
        out[min(places.values())] += b"".join(elements[tag] for tag in sorted(elements) if tag != LONG_VALUE)


_SEQUENCE_VRS: Final = frozenset((b"SQ", b"UN", b""))

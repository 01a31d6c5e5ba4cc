"""The byte loop: reads a data set once, writes the allowed elements anew in Explicit VR Little Endian.

Nothing is edited down: output is built from what the program allows, and everything else is stepped over by its
length without being parsed. What an element's tag and VR decide is looked up by the bytes of its header; a run of kept
elements is copied as one slice.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from safelight.dicom.element_step import ElementStep
from safelight.dicom.passages import Owners
from safelight.dicom.program import Program
from safelight.dicom.skip import MORE, UNDEFINED, skip_undefined
from safelight.dicom.steps import (
    CONSTANT,
    DROP,
    KEPT,
    KNOWN,
    LONGEST_CREATOR,
    NOTE,
    NOTHING,
    PIXELS,
    PRIVATE,
    REPLACE,
    SEQUENCE,
    SLOW,
    UNKNOWN,
    Blocks,
    Head,
    State,
    Step,
)
from safelight.dicom.unknown import unknown_extent
from safelight.dicom.vr import ALL
from safelight.errors import StudyRejected
from safelight.model import Reason

MAX_DEPTH: Final = 64
#: The largest sequence or value that is held in memory.
MAX_HELD: Final = 1 << 28
NO_SLOT: Final = 1 << 32
#: Bytes in which PixelRepresentation is looked for ahead of its place.
FARTHEST: Final = 1 << 20

_EXPLICIT = struct.Struct("<6sH").unpack_from
_IMPLICIT = struct.Struct("<4sI").unpack_from
_LENGTH = struct.Struct("<I").unpack_from


class Rewriter(ElementStep):
    """Rewrites one data set through a window on its file.

    Args:
        program: what to do with each element.
        state: what operations may ask about this instance.
        read: gives bytes at an absolute offset: ``read(size, offset)``.
        size: bytes in the file.
        window: bytes to read at a time.
    """

    def __init__(
        self, program: Program, state: State, read: Callable[[int, int], bytes], size: int, window: int = 1 << 15
    ) -> None:
        super().__init__(program, state)
        self._read = read
        self._size = size
        self._window = window
        self.out: list[bytes] = []
        #: tag, VR, length and absolute offset of the value of the element that holds the pixels
        self.pixels: tuple[int, bytes, int, int] | None = None
        #: index in ``out`` of the place left before each tag that was asked for
        self.slots: dict[int, int] = {}
        self.header_end = 0

    def _window_at(self, offset: int, need: int) -> tuple[bytes, int, int]:
        data = self._read(max(self._window, need), offset)
        if len(data) < min(need, self._size - offset):
            raise StudyRejected(Reason.TRUNCATED)
        return data, len(data), self._size - offset

    def _representation(self, data: bytes, base: int, start: int, implicit: bool) -> int:
        """Return what PixelRepresentation will be: elements before it may have a VR that depends on it, in Implicit VR.

        Looked for in as many bytes whatever the window is: the same file must give the same output.
        """
        header = _REPRESENTATION[implicit]
        at = data.find(header, start, FARTHEST) + len(header)
        if at < len(header) and len(data) < min(FARTHEST, self._size - base):
            data = self._read(FARTHEST, base)
            at = data.find(header, start) + len(header)
        return data[at] if len(header) <= at < len(data) else 0

    def run(self, data: bytes, base: int, start: int, *, implicit: bool, slots: tuple[int, ...]) -> None:
        """Rewrite from ``start`` (in ``data``, which lies at ``base`` in the file) to the pixels or the end.

        The loop is one function on purpose: a call per element would double its cost.

        Args:
            data: the first window.
            base: its absolute offset.
            start: where the data set starts in it.
            implicit: Implicit VR Little Endian instead of Explicit.
            slots: tags, ascending, before which a place is left for elements that are known only afterwards.

        Raises:
            StudyRejected: truncated, malformed, unsorted, nested too deep.
        """
        table = self._program.table
        heads = table.implicit if implicit else table.explicit
        passages = table.passages[implicit]
        unpack = _IMPLICIT if implicit else _EXPLICIT
        state = self._state
        context = state.context
        learning = passages.learns(context)
        noted = self.noted
        out = self.out
        pending = list(slots)
        next_slot = pending[0] if pending else NO_SLOT
        blocks: Blocks = {}
        state.pixel_representation = self._representation(data, base, start, implicit)
        have = len(data)
        edge = have - 12
        end = self._size - base
        pos = start
        run = last = -1
        kept = changed = removed = options = 0
        dated = False
        owners: Owners = ()
        # Where the passage in hand began; -1: the next element begins one.
        mark = -1 if learning else 0
        while pos < end:
            if pos > edge:
                if have < end:
                    if run >= 0:
                        out.append(data[run:pos])
                        run = -1
                    if learning:
                        mark = -1
                    base += pos
                    pos = 0
                    data, have, end = self._window_at(base, 12)
                    edge = have - 12
                if pos + 8 > end:
                    raise StudyRejected(Reason.TRUNCATED)
            if mark < 0:
                if run >= 0:
                    out.append(data[run:pos])
                    run = -1
                under = (context, owners, next_slot)
                passage = passages.get(last)
                if passage is not None and passage.under == under:
                    if data.startswith(passage.raw, pos):
                        out.append(passage.out)
                        noted.update(passage.noted)
                        kept += passage.kept
                        changed += passage.changed
                        removed += passage.removed
                        options |= passage.options
                        dated = dated or passage.dated
                        last = passage.last
                        pos += len(passage.raw)
                        continue
                    passages.part(last, data, pos)
                # What is taken up from here on belongs to the passage, if one comes of it.
                self.options |= options
                self.dated = self.dated or dated
                options, dated = 0, False
                opening = (last, under, len(out), len(noted), kept, changed, removed)
                mark = pos
            key, length = unpack(data, pos)
            try:
                head = heads[key]
            except KeyError:
                head = table.head(key, implicit=implicit)
            tag = head.tag
            if tag <= last:
                raise StudyRejected(Reason.ELEMENT_ORDER)
            if head.fickle and learning:
                if pos > mark:
                    if run >= 0:
                        out.append(data[run:pos])
                        run = -1
                    counts = (kept, changed, removed)
                    passages.learn(opening, data[mark:pos], last, out, noted, counts, options, dated=dated)
                mark = -1
            before, last = last, tag
            if head.long:
                if pos + 12 > end:
                    raise StudyRejected(Reason.TRUNCATED)
                length = _LENGTH(data, pos + 8)[0]
                value = pos + 12
            else:
                value = pos + 8
            stop = value + length
            # -- what the header alone decides, inside the window; an undefined length is beyond any window
            action = head.action
            if stop <= have:
                if action == DROP or (
                    action == PRIVATE and ((block := blocks.get(tag >> 8)) is None or tag & 0xFF not in block.steps)
                ):
                    if run >= 0:
                        out.append(data[run:pos])
                        run = -1
                    removed += 1
                    pos = stop
                    continue
                if tag < next_slot:
                    if action == KEPT:
                        if not length & head.mask and length <= head.limit:
                            raw = data[value:stop]
                            known = head.known
                            if known is None or raw in known or (raw not in head.memo and self._good(head.step, raw)):
                                if run < 0:
                                    run = pos
                                kept += 1
                                if head.noted:
                                    noted[tag] = raw
                                    options |= head.option
                                pos = stop
                                continue
                    elif action == KNOWN:
                        raw = data[value:stop]
                        new = head.memo.get((raw, context) if head.varies else raw)
                        if new is not None:
                            if run >= 0:
                                out.append(data[run:pos])
                                run = -1
                            noted[tag] = raw
                            out.append(new)
                            changed += 1
                            options |= head.option
                            dated = dated or head.dated
                            pos = stop
                            continue
                    elif REPLACE <= action <= NOTE:
                        # Replaced by what is the same in every instance, or looked at and removed.
                        if run >= 0:
                            out.append(data[run:pos])
                            run = -1
                        if head.noted:
                            noted[tag] = data[value:stop]
                        if action == REPLACE:
                            out.append(head.constant)
                            changed += 1
                        else:
                            removed += 1
                        pos = stop
                        continue
            # -- everything else
            if run >= 0:
                out.append(data[run:pos])
                run = -1
            if learning:
                if pos > mark >= 0:
                    counts = (kept, changed, removed)
                    passages.learn(opening, data[mark:pos], before, out, noted, counts, options, dated=dated)
                mark = -1
            while tag >= next_slot:
                self.slots[pending.pop(0)] = len(out)
                out.append(b"")
                next_slot = pending[0] if pending else NO_SLOT
            vr = head.vr
            if action == UNKNOWN:
                value, stop = (at - base for at in unknown_extent(self._read, base + pos, self._size))
                length = stop - value
            elif not implicit and vr not in ALL:
                raise StudyRejected(Reason.MALFORMED)
            step = head.step
            if action == PRIVATE:
                step = self._private_step(tag, blocks)
            if step.kind == PIXELS:
                self.pixels = (tag, vr, length, base + value)
                break
            if length == UNDEFINED:
                if not implicit and vr not in _UNDEFINED_ALLOWED:
                    raise StudyRejected(Reason.MALFORMED)
                stop = skip_undefined(data, value, implicit or vr == b"UN", MAX_DEPTH)
                while stop == MORE:
                    if have >= end:
                        raise StudyRejected(Reason.TRUNCATED)
                    if have - pos > MAX_HELD:
                        raise StudyRejected(Reason.MALFORMED)
                    base, value = base + pos, value - pos
                    data, have, end = self._window_at(base, max((have - pos) * 2, self._window * 4))
                    edge = have - 12
                    pos = 0
                    stop = skip_undefined(data, value, implicit or vr == b"UN", MAX_DEPTH)
            elif stop > end:
                raise StudyRejected(Reason.TRUNCATED)
            elif stop > have and self._wanted(head, step, length):
                if length > MAX_HELD:
                    raise StudyRejected(Reason.MALFORMED)
                base, value, stop = base + pos, value - pos, stop - pos
                pos = 0
                data, have, end = self._window_at(base, stop)
                edge = have - 12
            if step is NOTHING:
                removed += 1
                if head.action == SLOW:
                    self._creator(tag, length, data[value:stop], blocks, out)
                    owners = tuple((number, id(block.steps)) for number, block in blocks.items())
            elif step.kind == SEQUENCE:
                self._sequence(step, data, value, stop, vr, implicit, 1, out)
            elif step.kind == CONSTANT:
                if head.noted:
                    noted[tag] = data[value:stop]
                out.append(self._constant(step))
            elif length == UNDEFINED:
                removed += 1
            else:
                raw = data[value:stop]
                noted[tag] = raw
                out.append(self._element(head, step, raw))
                context = state.context
            pos = stop
            if pos > have:
                base += pos
                if pos < end:
                    data, have, end = self._window_at(base, 12 if end - pos >= 12 else end - pos)
                    edge = have - 12
                else:
                    have = end = 0
                pos = 0
        if run >= 0:
            out.append(data[run:pos])
        for tag in pending:
            self.slots[tag] = len(out)
            out.append(b"")
        self.kept += kept
        self.changed += changed
        self.removed += removed
        self.options |= options
        self.dated = self.dated or dated
        self.header_end = base + pos

    @staticmethod
    def _wanted(head: Head, step: Step, length: int) -> bool:
        """Tell whether an element's value has to be in the window, or can be stepped over."""
        if step is NOTHING:
            return head.action == SLOW and length <= LONGEST_CREATOR
        return step.kind != CONSTANT or head.noted


#: Header of PixelRepresentation in Explicit and in Implicit VR.
_REPRESENTATION: Final = (b"\x28\0\x03\x01US\2\0", b"\x28\0\x03\x01\2\0\0\0")
_UNDEFINED_ALLOWED: Final = frozenset((b"SQ", b"UN", b"OB", b"OW"))

"""Neighbouring elements that are the same in one instance after another, and what came of them.

In a series nine elements of ten are: comparing their bytes at once takes a fiftieth of looking at each. A passage is one
stretch of them. What came of it is remembered together with all that it depended on, so that taking it again is the same
as going through its elements again.
"""

from __future__ import annotations

import struct
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safelight.dicom.steps import Head

#: Elements below which a passage is not worth its look-up, its longest size in bytes, and passages per table.
SHORTEST: Final = 3
LONGEST: Final = 1 << 14
#: Bytes of an element that is left out where a passage would be longer.
LONG: Final = 1 << 10
MOST: Final = 128

#: What the elements of a passage depend on besides their bytes: the state's context, the private blocks that are open (by
#: number, and whose), and the next place to be left for a stamp.
Owners = tuple[tuple[int, int], ...]
Under = tuple[object, Owners, int]


#: Where a passage began: tag before it, what it depends on, pieces of output and values noted until then, and elements
#: kept, changed and removed until then.
Opening = tuple[int, Under, int, int, int, int, int]


class Passage(NamedTuple):
    """Elements as they stood in a file, what came of them, and the last one's tag."""

    raw: bytes
    under: Under
    out: bytes
    last: int
    kept: int
    changed: int
    removed: int
    options: int
    dated: bool
    noted: tuple[tuple[int, bytes], ...]


class Passages(dict[int, Passage]):
    """Passages of the last instances of one patient, by the tag before them.

    Args:
        heads: what the headers met so far decide.
        implicit: whether they are of Implicit VR.
    """

    __slots__ = ("_context", "_heads", "_unpack")

    def __init__(self, heads: dict[bytes, Head], *, implicit: bool) -> None:
        super().__init__()
        self._context: object = None
        self._heads = heads
        self._unpack = struct.Struct("<4sI" if implicit else "<6sH").unpack_from

    def learns(self, context: object) -> bool:
        """Tell whether the instance in hand is of the patient of the one before; another one's are forgotten."""
        if context == self._context:
            return True
        self.clear()
        self._context = context
        return False

    def learn(
        self,
        opening: Opening,
        raw: bytes,
        last: int,
        out: list[bytes],
        noted: dict[int, bytes],
        counts: tuple[int, int, int],
        options: int,
        *,
        dated: bool,
    ) -> None:
        """Remember a passage.

        Args:
            opening: where it began.
            raw: its bytes.
            last: tag of its last element.
            out: what came of the instance so far.
            noted: values noted so far.
            counts: elements kept, changed and removed so far.
            options: bits of the options that it took up.
            dated: whether it shifted a date.
        """
        before, under, pieces, already, *earlier = opening
        kept, changed, removed = (now - then for now, then in zip(counts, earlier, strict=True))
        if len(raw) > LONGEST:
            for head, start, stop in self._elements(raw):
                head.fickle = head.fickle or stop - start > LONG
        if kept + changed + removed < SHORTEST or len(raw) > LONGEST:
            return
        if len(self) >= MOST:
            self.clear()
        self[before] = Passage(
            raw,
            under,
            b"".join(out[pieces:]),
            last,
            kept,
            changed,
            removed,
            options,
            dated,
            tuple(islice(noted.items(), already, None)),
        )

    def part(self, before: int, data: bytes, pos: int) -> None:
        """Forget a passage that reads otherwise now; the element in which it does ends passages from now on.

        Args:
            before: tag before the passage.
            data: bytes around it, as they are now.
            pos: where it should be.
        """
        raw = self[before].raw
        if pos + len(raw) > len(data):
            # Only cut off by the window.
            return
        del self[before]
        same, size = 0, len(raw)
        while size - same > 1:
            middle = (same + size) // 2
            if data.startswith(raw[same:middle], pos + same):
                same = middle
            else:
                size = middle
        for head, start, stop in self._elements(raw):
            if start <= same < stop:
                head.fickle = True

    def _elements(self, raw: bytes) -> Iterator[tuple[Head, int, int]]:
        """Yield each element of a passage: its header, where it starts, and where it ends."""
        stop = 0
        while stop < len(raw):
            start = stop
            key, length = self._unpack(raw, start)
            head = self._heads.get(key)
            if head is None:
                # The memory of headers began anew.
                return
            stop += 12 + int.from_bytes(raw[start + 8 : start + 12], "little") if head.long else 8 + length
            yield head, start, stop

"""Neighbouring elements that are the same in one instance after another, and what came of them.

In a series nine elements of ten are: comparing their bytes at once takes a fiftieth of looking at each. A passage is one
stretch of them. What came of it is remembered together with all that it depended on, so that taking it again is the same
as going through its elements again.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from safelight.dicom.steps import Head

#: Elements below which a passage is not worth its look-up, its longest size in bytes, and passages per table.
SHORTEST: Final = 3
LONGEST: Final = 1 << 14
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
    """Passages of the last instances of one patient, by the tag before them."""

    __slots__ = ("_context",)

    def __init__(self) -> None:
        super().__init__()
        self._context: object = None

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

    def part(
        self, before: int, data: bytes, pos: int, heads: dict[bytes, Head], unpack: Callable[..., tuple[bytes, int]]
    ) -> None:
        """Forget a passage that reads otherwise now; the element in which it does ends passages from now on.

        Args:
            before: tag before the passage.
            data: bytes around it, as they are now.
            pos: where it should be.
            heads: what the headers met so far decide.
            unpack: takes a header apart.
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
        at = 0
        while at <= same:
            key, length = unpack(raw, at)
            head = heads.get(key)
            if head is None:
                # The memory of headers began anew.
                return
            at += 12 + int.from_bytes(raw[at + 8 : at + 12], "little") if head.long else 8 + length
            if at > same:
                head.fickle = True

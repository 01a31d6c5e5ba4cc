"""Damages DICOM files in every way that storage, networks and software do, and looks at what the engine makes of them.

Each file is drawn from a seed and its own number alone, so one finding can be made again without the files before it.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple

from pydicom.data import get_testdata_file

from safelight.dicom import DeidEngine
from safelight.dicom.vr import ALL, CHARSET_TEXT, LONG_HEADER
from safelight.model import InstanceOutcome, Reason
from safelight.profile import load_profile
from tests.dicom.hard import BIRTH_DATE, MARK, SECRET_ROOT, STUDY_DATE, cases

#: Processor seconds that one file may take.
HANG: Final = 1.0
#: Seconds after which a file that hangs is given up.
GIVEN_UP: Final = 20
BATCH: Final = 400
SEED_SIZE: Final = 100_000
REAL: Final = (
    "CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm", "rtdose.dcm", "rtdose_rle.dcm",
    "rtplan.dcm", "rtstruct.dcm", "JPEG2000.dcm", "image_dfl.dcm", "nested_priv_SQ.dcm", "reportsi.dcm",
    "waveform_ecg.dcm", "liver_1frame.dcm",
)  # fmt: skip
_ITEM: Final = b"\xfe\xff\x00\xe0"
_SEQUENCES: Final = (b"SQ", b"UN", b"")


class Place(NamedTuple):
    """One element: where it starts, its VR field, its length field and that one's width, and where its value ends."""

    start: int
    vr: int
    length: int
    width: int
    stop: int


def places(data: bytes, pos: int, end: int, *, explicit: bool) -> Iterator[Place]:
    """Yield the elements from an offset on, those of items after their sequence; stops where it can't read on."""
    while pos + 8 <= end:
        vr = data[pos + 4 : pos + 6] if explicit else b""
        if explicit and vr not in ALL:
            return
        long = vr in LONG_HEADER
        at, width = (pos + 8, 4) if long else (pos + 6, 2) if explicit else (pos + 4, 4)
        length = int.from_bytes(data[at : at + width], "little")
        value = pos + (12 if long else 8)
        stop = value + length
        if length == 0xFFFFFFFF:
            closing = data.find(b"\xfe\xff\xdd\xe0", value)
            stop = closing + 8 if closing >= 0 else end
        if stop > end:
            return
        yield Place(pos, pos + 4, at, width, stop)
        if vr in _SEQUENCES and data[value : value + 4] == _ITEM:
            yield from places(data, value + 8, stop, explicit=explicit and vr == b"SQ")
        pos = stop


@lru_cache(maxsize=1024)
def elements_of(data: bytes) -> tuple[Place, ...]:
    """Return the elements of a file in little endian, those of group 2 among them."""
    if data[128:132] != b"DICM":
        return tuple(places(data, 0, len(data), explicit=data[4:6] in ALL))
    meta = list(places(data, 132, len(data), explicit=True))
    in_meta = [one for one in meta if data[one.start : one.start + 2] == b"\2\0"]
    start = in_meta[-1].stop if in_meta else 132
    return (*in_meta, *places(data, start, len(data), explicit=data[start + 4 : start + 6] in ALL))


def _anywhere(out: bytearray, draw: random.Random) -> int:
    # Most damage goes where the structure is.
    return draw.randrange(min(len(out), 2000) if draw.random() < 0.8 else len(out))


def _lie(draw: random.Random, true: int, width: int) -> bytes:
    top = 256**width - 1
    near = true + draw.choice((-24, -12, -8, -4, -2, -1, 1, 2, 4, 8, 10, 12, 16, 20, 24, 40, 64, 100, 300))
    value = draw.choice((near, near, near, 0, top, top - 1, top // 2, true * 2, true // 2, draw.randrange(top + 1)))
    return int.to_bytes(max(0, min(top, value)), width, "little")


def flip(out: bytearray, draw: random.Random, _known: tuple[Place, ...]) -> None:
    """Flip one to three bits."""
    for _ in range(draw.randint(1, 3)):
        out[_anywhere(out, draw)] ^= 1 << draw.randrange(8)


def truncate(out: bytearray, draw: random.Random, _known: tuple[Place, ...]) -> None:
    """Cut the file off."""
    del out[draw.randrange(len(out)) if draw.random() < 0.5 else _anywhere(out, draw) :]


def lengthen(out: bytearray, draw: random.Random, known: tuple[Place, ...]) -> None:
    """Let an element's length lie."""
    if known:
        one = draw.choice(known)
        true = int.from_bytes(out[one.length : one.length + one.width], "little")
        out[one.length : one.length + one.width] = _lie(draw, true, one.width)


def lengthen_item(out: bytearray, draw: random.Random, _known: tuple[Place, ...]) -> None:
    """Let the length of an item, a fragment or a delimiter lie."""
    found = [at for at in range(len(out)) if out[at : at + 2] == b"\xfe\xff" and out[at + 3 : at + 4] == b"\xe0"]
    if found:
        at = draw.choice(found) + 4
        out[at : at + 4] = _lie(draw, int.from_bytes(out[at : at + 4], "little"), 4)


def lose(out: bytearray, draw: random.Random, _known: tuple[Place, ...]) -> None:
    """Lose some bytes."""
    at = _anywhere(out, draw)
    del out[at : at + draw.randrange(1, 20)]


def insert(out: bytearray, draw: random.Random, _known: tuple[Place, ...]) -> None:
    """Insert bytes that come from nowhere."""
    at = _anywhere(out, draw)
    out[at:at] = draw.randbytes(draw.randrange(1, 20))


def overwrite(out: bytearray, draw: random.Random, _known: tuple[Place, ...]) -> None:
    """Overwrite four bytes, as a bad block or pointer does."""
    at = _anywhere(out, draw)
    out[at : at + 4] = draw.choice((b"\xff" * 4, b"\0" * 4, b"\xfe\xff\xff\x7f", draw.randbytes(4)))


def rename_vr(out: bytearray, draw: random.Random, known: tuple[Place, ...]) -> None:
    """Give an element another VR."""
    if known:
        at = draw.choice(known).vr
        out[at : at + 2] = draw.choice(sorted(ALL))


def swap(out: bytearray, draw: random.Random, known: tuple[Place, ...]) -> None:
    """Let two elements change places."""
    if len(known) > 1:
        one, other = sorted(draw.sample(known, 2))
        if one.stop <= other.start and other.stop <= len(out):
            middle = out[one.stop : other.start]
            out[one.start : other.stop] = out[other.start : other.stop] + middle + out[one.start : one.stop]


def repeat(out: bytearray, draw: random.Random, known: tuple[Place, ...]) -> None:
    """Write an element twice."""
    if known:
        one = draw.choice(known)
        out[one.stop : one.stop] = out[one.start : one.stop]


Damage = Callable[[bytearray, random.Random, tuple[Place, ...]], None]
KINDS: Final[tuple[Damage, ...]] = (
    flip, truncate, lengthen, lengthen_item, lose, insert, overwrite, rename_vr, swap, repeat,
)  # fmt: skip


def damaged(data: bytes, draw: random.Random) -> tuple[bytes, tuple[str, ...]]:
    """Return the data with one to four kinds of damage, and their names."""
    out = bytearray(data)
    known = elements_of(data)
    done = []
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        if not out:
            break
        kind = draw.choice(KINDS)
        kind(out, draw, known if len(out) == len(data) else elements_of(bytes(out)))
        done.append(kind.__name__)
    return bytes(out), tuple(done)


@cache
def seeds(seed: int) -> tuple[bytes, ...]:
    """Return all hard files and some of real scanners, as far as they are small."""
    hard = [one.data for _, files in cases(seed) for one in files]
    real = [Path(str(get_testdata_file(name))).read_bytes() for name in REAL]
    return tuple(data for data in (*hard, *real) if len(data) < SEED_SIZE)


@dataclass(frozen=True)
class Finding:
    """Something that must not happen: to which file, what, and after which damage."""

    number: int
    what: str
    damage: tuple[str, ...]


@dataclass
class Outcome:
    """What became of a run of damaged files."""

    files: int = 0
    written: int = 0
    longest: float = 0.0
    reasons: Counter[Reason] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    #: damage made a canary the whole text of an element that the profile keeps: nobody can tell it from that element's own
    moved: list[Finding] = field(default_factory=list)


class Fuzzer:
    """De-identifies damaged files one by one and checks each output.

    Args:
        engine: the engine.
        seed: draws seeds and damage.
        folder: where files go; outputs are removed as soon as they have been looked at.
    """

    def __init__(self, engine: DeidEngine, seed: int, folder: Path) -> None:
        self._engine = engine
        self._seed = seed
        self._source = folder / "in"
        self._target = folder / "out"
        self._waiting: dict[Path, Finding] = {}
        self.outcome = Outcome()

    def file(self, number: int) -> tuple[bytes, tuple[str, ...]]:
        """Return the damaged file of a number, and its kinds of damage."""
        draw = random.Random(f"{self._seed}-{number}")
        return damaged(draw.choice(seeds(self._seed + number % 3)), draw)

    def run(self, numbers: range) -> Iterator[Outcome]:
        """Take the files of these numbers; give the outcome so far after each batch."""
        for number in numbers:
            self._one(number)
            if len(self._waiting) >= BATCH:
                self._dump()
                yield self.outcome
        self._dump()
        yield self.outcome

    def _one(self, number: int) -> None:
        data, damage = self.file(number)
        outcome = self.outcome
        self._source.write_bytes(data)
        begun = time.process_time()
        try:
            with _alarm():
                result = self._engine.deidentify(self._source, self._target)
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            outcome.findings.append(Finding(number, f"raised {type(error).__name__}", damage))
            return
        taken = time.process_time() - begun
        outcome.files += 1
        outcome.longest = max(outcome.longest, taken)
        if taken > HANG:
            outcome.findings.append(Finding(number, f"took {taken:.1f} s", damage))
        if result.outcome is not InstanceOutcome.WRITTEN:
            assert result.reason is not None
            outcome.reasons[result.reason] += 1
            if result.reason is Reason.INTERNAL_ERROR:
                # Every cause has its own reason; this one would be a case that nobody thought of.
                outcome.findings.append(Finding(number, "internal error", damage))
            return
        outcome.written += 1
        path = Path(result.path)
        output = path.read_bytes()
        rest = without_kept_text(output)
        for what in leaks(output, path):
            found = outcome.findings if what in leaks(rest, path) else outcome.moved
            found.append(Finding(number, f"leaks {what}", damage))
        kept = path.with_name(f"{number}.dcm")
        path.rename(kept)
        self._waiting[kept] = Finding(number, "dcmdump refuses it", damage)

    def _dump(self) -> None:
        """Let dcmdump read what has come out since the last time, then remove it."""
        if self._waiting and not accepted(list(self._waiting)):
            self.outcome.findings += [one for path, one in self._waiting.items() if not accepted([path])]
        self._waiting.clear()
        rest = [path for path in self._target.rglob("*") if path.is_file() and path.suffix != ".dcm"]
        self.outcome.findings += [Finding(-1, "a file without its name is left", ()) for _ in rest]
        shutil.rmtree(self._target, ignore_errors=True)
        self._engine.forget_folders()


def accepted(paths: list[Path]) -> bool:
    """Tell whether dcmdump reads all these files without an error."""
    command = ["dcmdump", *map(str, paths)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    return done.returncode == 0 and not [line for line in done.stderr.splitlines() if line.startswith(("E:", "F:"))]


#: Marks with digits behind them: three letters alone happen to stand in base64.
_SECRETS: Final = (
    ("a mark", re.compile(b"|".join(mark.encode() + rb"\d{3}" for mark in (MARK, MARK.lower(), MARK.upper())))),
    ("a UID", re.compile(re.escape(SECRET_ROOT.encode()))),
    ("a date", re.compile(f"{BIRTH_DATE}|{STUDY_DATE}".encode())),
)


def leaks(output: bytes, path: Path) -> list[str]:
    """Return which kinds of canaries an output or its name shows, in characters of one or two bytes."""
    texts = [os.fsencode(path.name), output]
    if b"\0Z\0q\0x" in output or b"Z\0q\0x\0" in output:
        texts.append(output.replace(b"\0", b""))
    return [name for name, secret in _SECRETS if any(map(secret.search, texts))]


def without_kept_text(output: bytes) -> bytes:
    """Return an output with the text of those elements blanked that the research profile keeps as they are."""
    rest = bytearray(output)
    for one in elements_of(output):
        group, number = struct.unpack_from("<HH", output, one.start)
        if group << 16 | number in _kept() and output[one.vr : one.vr + 2] in CHARSET_TEXT:
            rest[one.start : one.stop] = bytes(one.stop - one.start)
    return bytes(rest)


@cache
def _kept() -> frozenset[int]:
    rules = load_profile(Path(__file__).resolve().parents[2] / "profiles" / "deid", "research").dicom
    return frozenset(address.tag for address, rule in rules.elements.items() if rule.operation.op == "keep")


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    """End what hangs."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, GIVEN_UP)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

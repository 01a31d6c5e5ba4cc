"""The DICOM de-identification engine: one file in, one file out or one reason why not. It never raises for a bad file."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Final

from pydicom.datadict import keyword_dict

from safelight.dicom.address import Address
from safelight.dicom.boundary import check_end, check_inflated
from safelight.dicom.charset import decode
from safelight.dicom.clean import CleanText, TextCleaner
from safelight.dicom.container import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    check_syntax,
    meta_group,
    read_container,
)
from safelight.dicom.encapsulated import SYNTAXES, write_encapsulated
from safelight.dicom.instance import SERIES, SOP_CLASS, SOP_INSTANCE, STUDY, DataSet, Found, peek
from safelight.dicom.pixels import PixelCopier, image_element, native_header, read_layout, write_all
from safelight.dicom.program import WATCHED_TAGS, Compiler, Program
from safelight.dicom.recode import recoded
from safelight.dicom.redaction import PixelRedactor, write_redacted
from safelight.dicom.rewrite import Rewriter
from safelight.dicom.rules import DicomRules
from safelight.dicom.skip import UNDEFINED
from safelight.dicom.stamps import (
    BURNED_IN,
    CLEAN_PIXELS,
    FULL_DATES,
    SLOTS,
    burned_in_stamp,
    identity_stamp,
    longitudinal_stamp,
)
from safelight.dicom.standard import attribute_types
from safelight.dicom.steps import State
from safelight.dicom.storage import WITHHELD, is_video
from safelight.errors import ConfigurationError, SafelightError, StudyRejected
from safelight.model import InstanceOutcome, InstanceResult, KnownIdentifiers, Reason
from safelight.pseudonym import Pseudonymizer, is_valid_uid

WINDOW: Final = 1 << 15
MAX_WINDOW: Final = 1 << 20
_PATIENT: Final = 0x00100020
_MODALITY: Final = 0x00080060


class Header:
    """The few values of an instance that decide whether it is wanted, as text. Identifiable: never to be shown."""

    def __init__(self, noted: dict[int, bytes]) -> None:
        self._noted = noted

    def __getitem__(self, keyword: str) -> str:
        """Return a value by keyword, stripped; empty where the instance does not have it."""
        return decode(self._noted.get(keyword_dict[keyword], b""), None).strip(" \0")


#: Gives a reason to set an instance aside, or None to let it through.
Admission = Callable[[Header], Reason | None]


class DeidEngine:
    """De-identifies instances by one project's rules. Built once per worker; not for use by several threads.

    Args:
        rules: what comes out and how.
        pseudonymizer: the project's pseudonyms.
        shift_scope: ``patient`` or ``study``: what shares one date shift.
        clean_text: the report de-identifier, for ``clean-text`` on long texts and on content items of structured reports;
            without it long ones are removed.
        lookup: what is known of a patient, by PatientID, where the caller of ``deidentify`` does not say.
        fsync: whether an output is on the disk before it has its name.
        redactor: takes text out of pixels where the profile says ``redact``; without it such instances are withheld.
    """

    def __init__(
        self,
        rules: DicomRules,
        pseudonymizer: Pseudonymizer,
        *,
        shift_scope: str = "patient",
        clean_text: CleanText | None = None,
        lookup: Callable[[str], KnownIdentifiers | None] | None = None,
        fsync: bool = False,
        redactor: PixelRedactor | None = None,
    ) -> None:
        if shift_scope not in ("patient", "study"):
            raise ConfigurationError("The date-shift scope is neither 'patient' nor 'study'.")
        self._rules = rules
        self._pseudonymizer = pseudonymizer
        self._scope_tag = _PATIENT if shift_scope == "patient" else STUDY
        self._cleaner = TextCleaner(rules.words, clean_text)
        cleaner = self._cleaner
        self._compiler = Compiler(
            rules, pseudonymizer, clean=cleaner.clean, narrative=cleaner.narrative, label=cleaner.label
        )
        self._programs: dict[str, Program] = {}
        self._shifts: dict[bytes, int] = {}
        #: for studies and series, whose UIDs come again with each instance
        self._uid = lru_cache(maxsize=1024)(self._new_uid)
        self._folders: set[str] = set()
        self._window = WINDOW
        self._fsync = fsync
        self._copier = PixelCopier()
        self._redactor = redactor
        self._redacts = False
        self._looked_at = sorted(keyword_dict[keyword] for keyword in rules.burned_in.keywords())
        self._verdicts: dict[tuple[bytes | None, ...], str] = {}
        self._lookup = lookup
        self._admit: Admission | None = None
        self._patient = 0
        #: PatientID of the instance that was looked at last; identifiable.
        self.last_patient = ""

    @property
    def pseudonymizer(self) -> Pseudonymizer:
        """The project's pseudonyms."""
        return self._pseudonymizer

    def deidentify(
        self,
        source: Path,
        folder: Path,
        *,
        known: KnownIdentifiers | None = None,
        admit: Admission | None = None,
    ) -> InstanceResult:
        """De-identify one file to ``<folder>/<pseudo study>/<pseudo sop>.dcm``.

        Never raises for what the file holds. The output has its name only when it is complete.

        Args:
            source: the file.
            folder: where outputs go.
            known: what is known of the patient; ``clean-text`` uses it.
            admit: looks at the header before anything is written, and may give a reason to set the file aside.
        """
        result = Found()
        self._admit = admit
        self.last_patient = ""
        try:
            descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return result.aside(Reason.INTERNAL_ERROR)
        try:
            self._know(known)
            return self._instance(descriptor, os.fspath(folder), result)
        except StudyRejected as rejected:
            return result.aside(rejected.reason)
        except SafelightError:
            raise
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            return result.aside(Reason.STORAGE_FULL if full else Reason.INTERNAL_ERROR)
        except Exception:  # noqa: BLE001  no file may end a worker; nothing of the cause is told because it may quote data
            return result.aside(Reason.INTERNAL_ERROR)
        finally:
            os.close(descriptor)

    def _know(self, known: KnownIdentifiers | None) -> None:
        """Take up what is known of a patient, and a number for it that no other patient has."""
        if known is not self._cleaner.known:
            self._cleaner.known = known
            self._patient += 1

    # -- reading

    def _instance(self, source: int, folder: str, result: Found) -> InstanceResult:
        status = os.fstat(source)
        if not S_ISREG(status.st_mode):
            # A pipe may never give a byte, and a device never end.
            raise StudyRejected(Reason.NOT_DICOM)
        size = result.size = status.st_size
        data = os.pread(source, self._window, 0)
        container = read_container(data)
        if container is None or container.transfer_syntax in _RECODED:
            return self._recoded(source, container is None, folder, result)
        if container.sop_class in WITHHELD:
            raise StudyRejected(WITHHELD[container.sop_class])
        syntax = container.transfer_syntax
        if syntax not in _NATIVE and syntax not in SYNTAXES:
            raise StudyRejected(Reason.VIDEO if is_video(syntax) else Reason.TRANSFER_SYNTAX_UNSUPPORTED)
        check_syntax(data, container.start, syntax)
        opened = DataSet(source, size, container.start, syntax)
        return self._dataset(opened, data, container.sop_class, folder, result)

    def _recoded(self, source: int, bare: bool, folder: str, result: Found) -> InstanceResult:
        with recoded(source, result.size, folder, bare=bare) as opened:
            return self._dataset(opened, os.pread(opened.source, self._window, 0), "", folder, result)

    def _dataset(self, opened: DataSet, data: bytes, sop_class: str, folder: str, result: Found) -> InstanceResult:
        source, size, start, syntax, _ = opened
        implicit = syntax == IMPLICIT_LITTLE

        def read(count: int, offset: int) -> bytes:
            return os.pread(source, count, offset)

        guess = self._guess(data, start)
        sop_class = sop_class or peek(data, start, b"\x08\0\x16\0", implicit).decode("latin-1").strip(" \0")
        patient = peek(data, start, b"\x10\0\x20\0", None).strip(b" \0")
        looked_up = self._lookup if self._cleaner.known is None else None
        for _ in range(3):
            if looked_up is not None:
                self._know(looked_up(decode(patient, None)))
            state = State(self._shift(guess), self._patient)
            rewriter = Rewriter(self._program(sop_class), state, read, size, self._window)
            rewriter.run(data, 0, start, implicit=implicit, slots=SLOTS)
            noted = rewriter.noted
            actual_class = noted.get(SOP_CLASS, b"").decode("latin-1").strip(" \0")
            actual_scope = noted.get(self._scope_tag, b"").strip(b" \0")
            actual_patient = noted.get(_PATIENT, b"").strip(b" \0")
            if (actual_scope, actual_class) == (guess, sop_class) and (looked_up is None or actual_patient == patient):
                break
            guess, sop_class, patient = actual_scope, actual_class, actual_patient
        result.take(noted)
        self.last_patient = decode(noted.get(_PATIENT, b""), None).strip(" \0")
        self._check(noted, sop_class)
        if rewriter.header_end > self._window - 1024 and self._window < MAX_WINDOW:
            self._window = min(MAX_WINDOW, max(self._window * 2, rewriter.header_end + 4096))
        return self._write(opened, sop_class, rewriter, folder, result)

    def _program(self, sop_class: str) -> Program:
        program = self._programs.get(sop_class)
        if program is None:
            # Only classes that come out are compiled: a stream of invented UIDs must not fill the memory.
            key = sop_class if sop_class in self._rules.sop_classes else ""
            program = self._programs.get(key)
            if program is None:
                program = self._programs[key] = self._compiler.program(key)
        return program

    def _guess(self, data: bytes, start: int) -> bytes:
        """Return the scope's id as the first window shows it; the rewriter's own finding decides."""
        tag = b"\x10\0\x20\0" if self._scope_tag == _PATIENT else b"\x20\0\x0d\0"
        return peek(data, start, tag, None).strip(b" \0")

    def _shift(self, scope: bytes) -> int | None:
        if not scope:
            return None
        days = self._shifts.get(scope)
        if days is None:
            if len(self._shifts) > 4096:
                self._shifts.clear()
            days = self._shifts[scope] = self._pseudonymizer.date_shift(decode(scope, None))
        return days

    # -- deciding

    def _check(self, noted: dict[int, bytes], sop_class: str) -> None:
        """Set aside what may not come out, whatever its elements say.

        Raises:
            StudyRejected: with the reason.
        """
        if sop_class in WITHHELD:
            raise StudyRejected(WITHHELD[sop_class])
        if not all(noted.get(tag, b"").strip(b" \0") for tag in (SOP_CLASS, SOP_INSTANCE, STUDY, SERIES, _PATIENT)):
            raise StudyRejected(Reason.MISSING_IDENTITY)
        if self._admit is not None and (reason := self._admit(Header(noted))) is not None:
            raise StudyRejected(reason)
        if sop_class not in self._rules.sop_classes:
            raise StudyRejected(Reason.SOP_CLASS_NOT_ALLOWED)
        modality = noted.get(_MODALITY, b"").decode("latin-1").strip(" \0")
        if self._rules.modalities and modality not in self._rules.modalities:
            raise StudyRejected(Reason.MODALITY_NOT_ALLOWED)
        self._redacts = False
        treatment = self._rules.pixels.treatment(modality)
        if treatment != "accept":
            key = tuple(noted.get(tag) for tag in self._looked_at)
            verdict = self._verdicts.get(key)
            if verdict is None:
                values = {keyword: _shown(tag, noted[tag]) for tag, keyword in WATCHED_TAGS.items() if tag in noted}
                if len(self._verdicts) > 1024:
                    self._verdicts.clear()
                verdict = self._verdicts[key] = self._rules.burned_in.first(values)
            self._redacts = bool(verdict) and treatment == "redact" and self._redactor is not None
            if verdict and not self._redacts:
                raise StudyRejected(Reason.BURNED_IN)

    # -- writing

    def _write(self, opened: DataSet, sop_class: str, rewriter: Rewriter, folder: str, result: Found) -> InstanceResult:
        source, size, _, syntax, inflated = opened
        rules = self._rules
        out = rewriter.out
        slots = rewriter.slots
        types = attribute_types(sop_class)
        pixels = image_element(source, rewriter.pixels, types, rewriter.noted)
        rewriter.removed += rewriter.pixels is not pixels
        redactor = self._redactor if self._redacts and pixels else None
        options = rewriter.options | (CLEAN_PIXELS if redactor else 0)
        out[slots[SLOTS[0]]] = identity_stamp(rules.profile, rules.fingerprint, options)
        kind = types.get(BURNED_IN, "3")
        out[slots[SLOTS[1]]] = burned_in_stamp(kind, rewriter.noted.get(BURNED_IN, b""), cleaned=redactor is not None)
        out[slots[SLOTS[2]]] = longitudinal_stamp(rewriter.dated, bool(rewriter.options & FULL_DATES))
        study, series = self._uid(STUDY, result.study), self._uid(SERIES, result.series)
        sop = self._new_uid(SOP_INSTANCE, result.sop)
        encapsulated = syntax in SYNTAXES
        if redactor and encapsulated:
            raise StudyRejected(Reason.BURNED_IN)
        if pixels is not None and (pixels[2] == UNDEFINED) != encapsulated:
            raise StudyRejected(Reason.TRANSFER_SYNTAX_MISMATCH)
        layout = read_layout(rewriter.noted, pixels[0]) if pixels is not None else None
        if pixels is not None and layout is not None and not encapsulated:
            if pixels[3] + pixels[2] > size:
                raise StudyRejected(Reason.TRUNCATED)
            if pixels[2] < layout.length:
                raise StudyRejected(Reason.PIXEL_DATA)
            end = pixels[3] + layout.length
            if size - end > layout.length & 1:
                check_end(source, end, size, implicit=syntax == IMPLICIT_LITTLE)
            if inflated:
                check_inflated(source, pixels[3], end)
            out.append(native_header(pixels[0], pixels[1], layout))
        meta = meta_group(sop_class, sop, syntax if encapsulated and pixels else EXPLICIT_LITTLE)
        name = self._open_folder(folder, study)
        path = f"{name}/{sop}.dcm"
        part = f"{path}.{os.getpid()}.part"
        target = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            write_all(target, b"".join((meta, *out)))
            if pixels is not None and layout is not None:
                if encapsulated:
                    write_encapsulated(source, size, target, pixels[3], syntax, layout, rewriter.noted)
                else:
                    if redactor:
                        write_redacted(source, target, pixels[3], layout, redactor)
                    else:
                        self._copier.copy(source, target, pixels[3], layout)
                    if layout.length & 1:
                        write_all(target, b"\0")
            if self._fsync:
                os.fsync(target)
            written = os.lseek(target, 0, os.SEEK_CUR)
        except BaseException:
            os.close(target)
            os.unlink(part)  # noqa: PTH108  one system call counts here
            raise
        os.close(target)
        os.rename(part, path)  # noqa: PTH104
        return InstanceResult(
            outcome=InstanceOutcome.WRITTEN,
            pseudo_sop_instance_uid=sop,
            pseudo_series_instance_uid=series,
            pseudo_study_instance_uid=study,
            path=path,
            kept=rewriter.kept,
            changed=rewriter.changed,
            removed=rewriter.removed,
            bytes_in=result.size,
            bytes_out=written,
            study_instance_uid=result.study,
            series_instance_uid=result.series,
            sop_instance_uid=result.sop,
        )

    def forget_folders(self) -> None:
        """Look again whether output folders are there: a caller has removed one."""
        self._folders.clear()

    def _new_uid(self, tag: int, value: str) -> str:
        """Return a UID of the instance as its output has it: mapped, but where the profile keeps it."""
        rule = self._rules.elements.get(Address(tag))
        if rule is None or rule.operation.op != "keep":
            return self._pseudonymizer.uid(value)
        if not is_valid_uid(value):
            # It names a folder or a file.
            raise StudyRejected(Reason.MALFORMED)
        return value

    def _open_folder(self, folder: str, study: str) -> str:
        name = f"{folder}/{study}"
        if name not in self._folders:
            os.makedirs(name, exist_ok=True)  # noqa: PTH103
            if len(self._folders) > 1024:
                self._folders.clear()
            self._folders.add(name)
        return name


def _shown(tag: int, raw: bytes) -> str:
    if tag in _NUMBERS and len(raw) == 2:
        return str(int.from_bytes(raw, "little"))
    return raw.decode("latin-1").strip(" \0").casefold()


_NUMBERS: Final = frozenset((0x00280002, 0x00280010, 0x00280011))
_NATIVE: Final = frozenset((IMPLICIT_LITTLE, EXPLICIT_LITTLE))
_RECODED: Final = frozenset((EXPLICIT_BIG, DEFLATED, ""))

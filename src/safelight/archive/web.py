"""An archive that speaks DICOMweb: QIDO-RS and WADO-RS (PS3.18 sections 10.4 and 10.6).

Its addresses hold what is asked for, identifiers of patients too: that is how QIDO-RS is made. They go to the archive and
nowhere else: no message, log line or exception of ours shows one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

import requests

from safelight.archive import identifier as ids
from safelight.archive.identifier import Answer, Keys, Part
from safelight.archive.intake import OUT_OF_RESOURCES
from safelight.archive.multipart import Cut, MultipartReader, boundary_of
from safelight.dimse.quiet import silence
from safelight.errors import ArchiveBusy, ArchiveMisconfigured, ArchiveUnreachable, StudyRejected
from safelight.model import Reason

if TYPE_CHECKING:
    from safelight.archive.intake import Intake

#: Answers asked for at once: the number that known services give unasked, and none refuses.
_PAGE: Final = 100
#: More pages than any study, or patient's studies, can need.
_PAGES: Final = 1000
_PIECE: Final = 1 << 20
#: The longest page of answers, in bytes: some 20000 of them, from a service that ignores the limit.
_LONGEST_PAGE: Final = 16 << 20
_INSTANCES: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_BUSY: Final = frozenset({408, 425, 429, 503})
_NOTHING: Final = frozenset({204, 404, 410})
_UNAUTHORIZED: Final = 401
#: A UID that no study has: that of the Verification SOP class.
_NO_STUDY: Final = "1.2.840.10008.1.1"


class BearerToken(Protocol):
    """Gives tokens of an identity provider (RFC 6750)."""

    def __call__(self, *, fresh: bool) -> str:
        """Return a token; a new one if ``fresh``, because the last was refused.

        Raises:
            PermissionError: the provider refuses to give one.
            ConnectionError: it does not answer.
        """
        ...


@dataclass(frozen=True)
class WebService:
    """A DICOMweb service and how to get in.

    Args:
        url: base address, without ``/studies``.
        auth: user and password; or what gives bearer tokens; or None.
        ca: certificate authority to trust instead of the system's.
        certificate: files of our own certificate and its key; None: none is shown.
    """

    url: str
    auth: tuple[str, str] | BearerToken | None = field(default=None, repr=False)
    ca: Path | None = None
    certificate: tuple[Path, Path] | None = None


class WebSession:
    """Requests to one service over kept connections.

    Args:
        name: of the archive in messages.
        service: where it is.
        before_request: waits for leave; called before each request but the first of an operation.
        timeout: longest silence, in seconds.
        retrieval_timeout: longest silence while instances are sent, in seconds.
    """

    def __init__(
        self,
        name: str,
        service: WebService,
        *,
        before_request: Callable[[], None],
        timeout: float,
        retrieval_timeout: float,
    ) -> None:
        # Its lines quote addresses.
        silence("urllib3")
        self._name = name
        self._service = service
        self._before_request = before_request
        self._timeout = timeout
        self._retrieval_timeout = retrieval_timeout
        for file in (service.ca, *(service.certificate or ())):
            if file is not None and not file.is_file():
                raise ArchiveMisconfigured(
                    f"A certificate file of archive '{name}' is not there.",
                    remedy="Check ca_file, cert_file and key_file in its block.",
                )
        self._session = requests.Session()
        # Variables of the environment would override the authority, and send a password from a file.
        self._session.trust_env = False
        self._session.verify = str(service.ca) if service.ca else True
        if service.certificate is not None:
            self._session.cert = (str(service.certificate[0]), str(service.certificate[1]))
        if isinstance(service.auth, tuple):
            self._session.auth = service.auth

    def echo(self) -> None:
        """Ask for a study that nobody has."""
        self._search("/studies", {ids.STUDY_UID: _NO_STUDY}, (), offset=0)

    def find(self, level: str, match: Keys, wanted: Sequence[int]) -> list[Answer]:
        """Search at one level, page by page, and return the answers.

        Raises:
            StudyRejected: incomplete, when the service gives the same page again, or pages without end.
            ValueError: a key without a value.
        """
        ids.values_of(match)
        path, keys = "/studies", dict(match)
        if level != "STUDY":
            path += f"/{keys.pop(ids.STUDY_UID)}" + ("/series" if level == "SERIES" else "")
            keys.pop(ids.PATIENT_ID, None)
        if level == "IMAGE":
            path += f"/series/{keys.pop(ids.SERIES_UID)}/instances" if ids.SERIES_UID in keys else "/instances"
        found: list[dict[str, Any]] = []
        seen: set[int] = set()
        for _ in range(_PAGES):
            page, warned = self._search(path, keys, wanted, offset=len(found))
            marks = {hash(repr(item)) for item in page}
            again = bool(page) and marks <= seen
            if again and (warned or len(page) <= _PAGE):
                break
            if not again:
                found += page
                seen |= marks
            # A service that ignores the offset and the limit has given everything at first.
            if again or not page or not (warned or len(page) >= _PAGE):
                return [JsonAnswer(item) for item in found]
            self._before_request()
        raise StudyRejected(Reason.INCOMPLETE)

    def _search(self, path: str, match: Keys, wanted: Sequence[int], *, offset: int) -> tuple[list[dict[str, Any]], bool]:
        """Return one page of answers, and whether the service warns that there are more."""
        query: list[tuple[str, str]] = [(f"{tag:08X}", str(value)) for tag, value in match.items()]
        query += [("includefield", f"{tag:08X}") for tag in wanted]
        query += [("limit", str(_PAGE))] + ([("offset", str(offset))] if offset else [])
        with self._get(path, "application/dicom+json", self._timeout, query) as response:
            if response is None:
                return [], False
            items = _items(response)
            if items is None:
                raise ArchiveUnreachable(
                    f"Archive '{self._name}' answered a search with something that is no DICOM JSON.",
                    remedy="Check that the address in its block is that of its DICOMweb service.",
                )
            # PS3.18 section 8.3.4.4: a warning 299.
            warned = "299" in response.headers.get("Warning", "")
            return [item for item in items if isinstance(item, dict)], warned

    def retrieve(self, part: Part, intake: Intake, destination: str) -> bool:  # noqa: ARG002  nobody else is called
        """Fetch a part of a study; a request for the whole of it, or one for each instance that is named.

        Raises:
            ArchiveUnreachable: the body ended too early; what came before is kept.
        """
        ids.values_of(ids.keys_of(part, patient_root=False)[1])
        path = f"/studies/{part.study_uid}" + (f"/series/{part.series_uid}" if part.series_uid else "")
        paths = [f"{path}/instances/{sop_uid}" for sop_uid in part.sop_uids] or [path]
        for number, one in enumerate(paths):
            if number:
                self._before_request()
            if not self._fetch(one, intake):
                break
        return True

    def _fetch(self, path: str, intake: Intake) -> bool:
        """Fetch what is at an address; False: there is no room for it."""
        with self._get(path, _INSTANCES, self._retrieval_timeout) as response:
            if response is None:
                return True
            boundary = boundary_of(response.headers.get("Content-Type", ""))
            if not boundary:
                raise ArchiveMisconfigured(
                    f"Archive '{self._name}' answered a retrieval with something that is no DICOM file.",
                    remedy="Check that the address in its block is that of its DICOMweb service.",
                )
            try:
                for content in MultipartReader(response.iter_content(_PIECE), boundary):
                    file = intake.begin(self._name)
                    try:
                        for piece in content:
                            file.write(piece)
                    except BaseException:
                        file.discard()
                        raise
                    if intake.finish(file) == OUT_OF_RESOURCES:
                        return False
            except Cut:
                raise ArchiveUnreachable(f"Archive '{self._name}' broke off in the middle of a retrieval.") from None
        return True

    @contextmanager
    def _get(
        self, path: str, accept: str, timeout: float, query: Sequence[tuple[str, str]] = ()
    ) -> Iterator[requests.Response | None]:
        """Send a request; None: there is nothing at that address."""
        # Compressed, a service sends at a tenth of the speed.
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        try:
            response = self._send(path, query, headers, timeout)
            if response.status_code == _UNAUTHORIZED and callable(self._service.auth):
                # The token may have run out: a new one, once, and with leave for one more request.
                response.close()
                self._before_request()
                response = self._send(path, query, headers, timeout, fresh=True)
            with response:
                if response.status_code in _NOTHING:
                    yield None
                else:
                    self._check(response.status_code)
                    yield response
        except requests.exceptions.SSLError:
            raise ArchiveMisconfigured(
                f"Archive '{self._name}' shows a certificate that is not to be trusted, or does not trust ours.",
                remedy="Check ca_file, cert_file and key_file in its block, and that no certificate has expired.",
            ) from None
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema):
            raise ArchiveMisconfigured(
                f"The address of archive '{self._name}' is not one.", remedy="Correct it in its block."
            ) from None
        except (requests.exceptions.RequestException, OSError):
            raise self._unreachable() from None

    def _send(
        self, path: str, query: Sequence[tuple[str, str]], headers: dict[str, str], timeout: float, *, fresh: bool = False
    ) -> requests.Response:
        if callable(self._service.auth):
            headers["Authorization"] = f"Bearer {self._token(self._service.auth, fresh=fresh)}"
        return self._session.get(
            self._service.url.rstrip("/") + quote(path),
            params=list(query),
            headers=headers,
            timeout=(min(10.0, timeout), timeout),
            allow_redirects=False,
            stream=True,
        )

    def _token(self, give: BearerToken, *, fresh: bool) -> str:
        try:
            return give(fresh=fresh)
        except PermissionError:
            raise ArchiveMisconfigured(
                f"There is no token for archive '{self._name}', or it was refused.",
                remedy="Check the credentials in its block.",
            ) from None
        except ConnectionError:
            raise ArchiveUnreachable(f"Who gives tokens for archive '{self._name}' does not answer.") from None

    def _unreachable(self) -> ArchiveUnreachable:
        return ArchiveUnreachable(
            f"Archive '{self._name}' can't be reached, or the connection was lost.",
            remedy="Check that it runs, the address in its block, and the network.",
        )

    def _check(self, status: int) -> None:
        name = self._name
        if status < 300:
            return
        if status in {_UNAUTHORIZED, 403}:
            raise ArchiveMisconfigured(
                f"Archive '{name}' does not let us in (status {status}).", remedy="Check the credentials in its block."
            )
        if status in _BUSY:
            raise ArchiveBusy(f"Archive '{name}' takes no more requests for now (status {status}).")
        if status >= 500:
            raise ArchiveUnreachable(f"Archive '{name}' failed a request (status {status}).")
        raise ArchiveMisconfigured(
            f"Archive '{name}' refused a request (status {status}).",
            remedy="Check that the address in its block is that of its DICOMweb service, and what it supports.",
        )

    def resting(self) -> AbstractContextManager[None]:
        """Nothing runs between two requests."""
        return nullcontext()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    abort = close


def _items(response: requests.Response) -> list[Any] | None:
    """Return the answers in a body, inflated where it is compressed; None: it is no list of them, or has no end."""
    body = bytearray()
    for piece in response.iter_content(_PIECE):
        body += piece
        if len(body) > _LONGEST_PAGE:
            return None
    try:
        items = json.loads(body.decode(response.encoding or json.detect_encoding(body), "replace") or "[]")
    except (ValueError, LookupError, RecursionError):
        return None
    return items if isinstance(items, list) else None


class JsonAnswer(Answer):
    """One answer in the DICOM JSON model (PS3.18 annex F)."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def text(self, tag: int) -> str:
        """Return the value as text."""
        element = self._data.get(f"{tag:08X}")
        values = element.get("Value") if isinstance(element, dict) else None
        if not isinstance(values, list):
            return ""
        return "\\".join(str(value) for value in values if value is not None).strip(" \0")

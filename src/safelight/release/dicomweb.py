"""A DICOMweb service as DICOM destination, by STOW-RS (PS3.18 section 10.5).

Only what the service names in ReferencedSOPSequence counts as stored: some services answer 200 to a body that they
never saw, others 400 while they kept the good parts and list no failures. What a batch leaves open is sent again in
halves, down to single instances, so that one bad instance costs nothing but itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, Protocol

import requests

from safelight.errors import DestinationRefused, IntegrityError, StorageFull
from safelight.model import Reason
from safelight.release.attempts import TryAgain, retrying
from safelight.release.destination import Left, OutputFile, SendResult, Withdrawn, output_is_gone
from safelight.release.multipart import DicomMultipart

#: A batch closes at whichever comes first: a server works on one while the next arrives. Services limit the size of a
#: request (Azure: 4 GB) and answer at its end.
BATCH_FILES: Final = 10
BATCH_BYTES: Final = 200 << 20
_TIMEOUT: Final = (10, 300)
_TOO_LARGE: Final = 413
_NO_ROOM: Final = 507
_TRANSIENT: Final = frozenset({408, 424, 425, 429, 500, 502, 503, 504})
#: Answers to a STOW-RS request that say something of its instances, if only that they are too many.
_ANSWERED: Final = frozenset({200, 202, 400, 409, _TOO_LARGE})
#: Answers by which a service says that it deletes nothing, or nothing for us.
_KEPT: Final = {400: Left.NO_DELETION, 405: Left.NO_DELETION, 501: Left.NO_DELETION, 403: Left.REFUSED, 409: Left.REFUSED}
_FINE: Final = {"GET": {200, 204}, "POST": _ANSWERED, "DELETE": {200, 202, 204, 404, *_KEPT}}
# Elements of the answer (PS3.18 table 10.5.3-1) and Azure's failure reasons.
_STORED, _FAILED, _SOP_UID, _FAILURE = "00081199", "00081198", "00081155", "00081197"
_ALREADY_THERE: Final = 45070
_PENDING: Final = 45071


class BearerToken(Protocol):
    """Gives tokens of an identity provider (RFC 6750)."""

    def __call__(self, *, fresh: bool) -> str:
        """Return a token; a new one if ``fresh``, because the last was refused.

        Raises:
            PermissionError: the provider refuses to give one.
            ConnectionError: it does not answer.
        """
        ...


@dataclass
class DicomwebDestination:
    """A DICOMweb service.

    Args:
        url: base address of the service, without ``/studies``.
        auth: user and password; or what gives bearer tokens; or None.
        ca: certificate authority to trust instead of the system's.
        certificate: files of our certificate and its key, where the service asks for one.
        name: its name in manifests.
        attempts: attempts a batch.
        wait: waits between attempts: first and longest, in seconds; doubled each time.
    """

    url: str
    auth: tuple[str, str] | BearerToken | None = field(default=None, repr=False)
    ca: Path | None = None
    certificate: tuple[Path, Path] | None = None
    name: str = "dicomweb"
    attempts: int = 5
    wait: tuple[float, float] = (0.5, 30.0)

    def __post_init__(self) -> None:
        """Open a session that takes nothing from the environment: a variable there would override ``ca``."""
        self.url = self.url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(self.ca) if self.ca else True
        if self.certificate:
            self._session.cert = (str(self.certificate[0]), str(self.certificate[1]))
        if isinstance(self.auth, tuple):
            self._session.auth = self.auth

    def check(self, project: str) -> None:  # noqa: ARG002  a service has no folder for a project
        """Ask for one study. Raises DestinationRefused or DestinationUnavailable."""
        retrying(self.attempts, self.wait)(self._request, "GET", "/studies?limit=1")

    def send(self, project: str, files: Sequence[OutputFile]) -> SendResult:  # noqa: ARG002
        """Send the files in batches of at most 10 and 200 MB. Memory is flat; the cost is one read of each file."""
        result = SendResult()
        for batch in _batches(files):
            result.add(self._send(batch))
        if len(result.stored) + len(result.already) + len(result.refused) != len({file.sop_uid for file in files}):
            raise IntegrityError("The instances that were sent and those accounted for are not the same.")
        return result

    def locate(self, project: str, study_uid: str, series_uid: str) -> dict[str, str]:  # noqa: ARG002
        """Return the series' address by WADO-RS (PS3.18 section 10.4)."""
        return {"wadors_uri": f"{self.url}/studies/{study_uid}/series/{series_uid}"}

    def withdraw(self, project: str, studies: Sequence[str]) -> Withdrawn:  # noqa: ARG002
        """Delete the studies, and look again.

        PS3.18 has no word for it. Azure's service deletes; Orthanc's DICOMweb answers 405, and its keeper has to do it.
        What the service still shows afterwards is told as left.
        """
        result = Withdrawn()
        for study in studies:
            if not self._holds(study):
                result.absent.add(study)
                continue
            status = retrying(self.attempts, self.wait)(self._request, "DELETE", f"/studies/{study}").status_code
            if self._holds(study):
                result.left[study] = _KEPT.get(status, Left.REFUSED)
            else:
                result.removed.add(study)
        return result

    def _holds(self, study: str) -> bool:
        query, headers = f"/studies?StudyInstanceUID={study}&limit=1", {"Accept": "application/dicom+json"}
        answer = retrying(self.attempts, self.wait)(self._request, "GET", query, headers=headers)
        return answer.status_code != 204 and answer.content.strip() != b"[]"

    def _send(self, batch: Sequence[OutputFile]) -> SendResult:
        answer = retrying(self.attempts, self.wait)(self._store, batch)
        if answer is None:
            return self._halves(batch)
        result, sent = SendResult(), {file.sop_uid for file in batch}
        result.stored = {_text(item, _SOP_UID) for item in _items(answer, _STORED)} & sent
        for item in _items(answer, _FAILED):
            uid = _text(item, _SOP_UID)
            if uid not in sent or uid in result.stored:
                continue
            if _number(item, _FAILURE) == _ALREADY_THERE:
                result.already.add(uid)
            else:
                result.refused[uid] = Reason.DESTINATION_REFUSED
        open_files = [file for file in batch if file.sop_uid not in result.delivered and file.sop_uid not in result.refused]
        if open_files and len(batch) == 1:
            result.refused[open_files[0].sop_uid] = Reason.DESTINATION_REFUSED
        elif open_files:
            result.add(self._halves(open_files))
        return result

    def _halves(self, batch: Sequence[OutputFile]) -> SendResult:
        result = SendResult()
        middle = max(1, len(batch) // 2)
        for part in (batch[:middle], batch[middle:]):
            if part:
                result.add(self._send(part))
        return result

    def _store(self, batch: Sequence[OutputFile]) -> dict[str, Any] | None:
        """Return the service's answer, or None where the batch is too large for it and can be split."""
        try:
            body = DicomMultipart([file.path for file in batch])
        except OSError:
            raise output_is_gone() from None
        headers = {"Content-Type": body.content_type, "Accept": "application/dicom+json"}
        response = self._request("POST", "/studies", data=body, headers=headers)
        if response.status_code == _TOO_LARGE:
            if len(batch) == 1:
                return {_FAILED: {"Value": [{_SOP_UID: {"Value": [batch[0].sop_uid]}}]}}
            return None
        try:
            answer = response.json() if response.content else {}
        except ValueError:
            answer = {}
        if not isinstance(answer, dict):
            answer = {}
        if any(_number(item, _FAILURE) == _PENDING for item in _items(answer, _FAILED)):
            raise TryAgain(f"The DICOMweb service '{self.name}' is still busy with an earlier copy.")
        return answer

    def _request(self, method: str, path: str, **arguments: Any) -> requests.Response:  # noqa: ANN401
        response = self._attempt(method, path, **arguments)
        if response.status_code == 401 and callable(self.auth):
            response = self._attempt(method, path, fresh=True, **arguments)  # the token may have run out: a new one, once
        status = response.status_code
        if status in _TRANSIENT:
            raise TryAgain(f"The DICOMweb service '{self.name}' answered {status}.", _seconds(response))
        if status == _NO_ROOM:
            raise StorageFull(
                f"No room is left at the DICOMweb service '{self.name}'.",
                remedy="Make room and run again; what is there stays.",
            )
        if status in _FINE[method]:
            return response
        words = {401: "the credentials", 403: "what they may do", 404: "the address", 415: "the kind of content"}
        raise DestinationRefused(
            f"The DICOMweb service '{self.name}' refused with status {status}.",
            remedy=f"Check {words.get(status, 'its address and settings')} in its block.",
        )

    def _attempt(self, method: str, path: str, *, fresh: bool = False, **arguments: Any) -> requests.Response:  # noqa: ANN401
        headers = dict(arguments.pop("headers", {}))
        if callable(self.auth):
            headers["Authorization"] = f"Bearer {self._token(self.auth, fresh=fresh)}"
        try:
            return self._session.request(
                method, self.url + path, headers=headers, timeout=_TIMEOUT, allow_redirects=False, **arguments
            )
        except requests.exceptions.SSLError:
            raise DestinationRefused(
                f"The certificate of the DICOMweb service '{self.name}' is not to be trusted.",
                remedy="Give the right certificate authority in its block.",
            ) from None
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema):
            raise DestinationRefused(
                f"The address of the DICOMweb service '{self.name}' is not one.", remedy="Correct it in its block."
            ) from None
        except requests.exceptions.RequestException as error:
            raise TryAgain(f"The DICOMweb service '{self.name}' did not answer ({type(error).__name__}).") from None

    def _token(self, give: BearerToken, *, fresh: bool) -> str:
        try:
            return give(fresh=fresh)
        except PermissionError:
            raise DestinationRefused(
                f"There is no token for the DICOMweb service '{self.name}'.", remedy="Check the identity in its block."
            ) from None
        except ConnectionError:
            raise TryAgain(f"Who gives tokens for the DICOMweb service '{self.name}' does not answer.") from None


def _batches(files: Sequence[OutputFile]) -> Iterator[list[OutputFile]]:
    batch: list[OutputFile] = []
    size = 0
    for file in files:
        try:
            here = file.path.stat().st_size
        except OSError:
            raise output_is_gone() from None
        if batch and (len(batch) == BATCH_FILES or size + here > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += here
    if batch:
        yield batch


def _items(answer: dict[str, Any], element: str) -> list[dict[str, Any]]:
    found = answer.get(element)
    values = found.get("Value") if isinstance(found, dict) else None
    return [item for item in values if isinstance(item, dict)] if isinstance(values, list) else []


def _value(item: dict[str, Any], element: str) -> Any:  # noqa: ANN401
    found = item.get(element)
    values = found.get("Value") if isinstance(found, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _text(item: dict[str, Any], element: str) -> str:
    return str(_value(item, element) or "")


def _number(item: dict[str, Any], element: str) -> int | None:
    value = _value(item, element)
    return value if isinstance(value, int) else None


def _seconds(response: requests.Response) -> float:
    """Return what Retry-After asks for (RFC 9110 section 10.2.3): seconds, or a time by the service's own clock."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return (parsedate_to_datetime(text) - parsedate_to_datetime(response.headers["Date"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        return 0.0

"""A DICOMweb service as destination."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blocks import DicomwebServer
from safelight.errors import DestinationRefused, DestinationUnavailable, StorageFull
from safelight.release.destination import Left
from safelight.release.dicomweb import BATCH_FILES, DicomwebDestination
from safelight.release.multipart import DicomMultipart
from tests.release.hospital import PROJECT, output_files
from tests.release.server import StowServer, answer
from tests.services.certificates import Authority
from tests.services.key_vault import KeyVault
from tests.services.orthanc import Orthanc
from tests.services.process import free_port


def destination(orthanc: Orthanc) -> DicomwebDestination:
    return DicomwebDestination(orthanc.dicomweb_url, (orthanc.username, orthanc.password), wait=(0.01, 0.05))


def dicom_files(orthanc: Orthanc) -> dict[str, bytes]:
    return {uid: orthanc.file(uid) for uid in orthanc.instances()}


def test_a_body_can_be_read_again_and_knows_its_length(tmp_path: Path) -> None:
    body = DicomMultipart([file.path for file in output_files(tmp_path, count=3)])
    first = b"".join(body)
    assert len(first) == len(body)
    assert b"".join(body) == first


def test_the_memory_of_a_body_does_not_grow_with_its_files(tmp_path: Path) -> None:
    path = tmp_path / "big.dcm"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    total = sum(map(len, DicomMultipart([path, path])))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total > 128 << 20
    assert peak < 4 << 20


def test_a_wrong_password_is_refused_at_once(orthanc: Orthanc, tmp_path: Path) -> None:
    target = DicomwebDestination(orthanc.dicomweb_url, ("orthanc", "SECRETWORD"))
    for call in (lambda: target.check(PROJECT), lambda: target.send(PROJECT, output_files(tmp_path, count=1))):
        with pytest.raises(DestinationRefused, match="credentials") as caught:
            call()
        assert "SECRETWORD" not in f"{caught.value}{target!r}"


def test_a_wrong_address_is_refused(orthanc: Orthanc, tmp_path: Path) -> None:
    with pytest.raises(DestinationRefused, match="address"):
        DicomwebDestination(orthanc.url + "/nothing", (orthanc.username, orthanc.password)).check(PROJECT)
    with pytest.raises(DestinationRefused, match="address"):
        DicomwebDestination("no address").check(PROJECT)


def test_a_service_that_is_down_is_unavailable_after_its_attempts(tmp_path: Path) -> None:
    target = DicomwebDestination(f"http://127.0.0.1:{free_port()}", attempts=3, wait=(0.01, 0.02))
    with pytest.raises(DestinationUnavailable, match="did not answer"):
        target.send(PROJECT, output_files(tmp_path, count=1))


@pytest.mark.parametrize("status", [408, 424, 429, 500, 503])
def test_a_transient_answer_is_followed_by_the_whole_body_again(tmp_path: Path, status: int) -> None:
    files = output_files(tmp_path, count=3)
    with StowServer([(status, {}), (200, answer(stored=[file.sop_uid for file in files]))]) as server:
        result = DicomwebDestination(server.url, wait=(0.01, 0.05)).send(PROJECT, files)
    assert result.stored == {file.sop_uid for file in files}
    first, second = server.bodies
    assert first == second
    assert len(first) > sum(file.path.stat().st_size for file in files)


def test_a_connection_that_breaks_is_followed_by_the_whole_body_again(tmp_path: Path) -> None:
    files = output_files(tmp_path, count=1)
    with StowServer([(0, {}), (200, answer(stored=[files[0].sop_uid]))]) as server:
        assert DicomwebDestination(server.url, wait=(0.01, 0.05)).send(PROJECT, files).stored
    assert server.bodies[0] == server.bodies[1]


def test_success_without_names_is_no_success(tmp_path: Path) -> None:
    files = output_files(tmp_path, count=2)
    with StowServer([(200, {})] * 3) as server:
        result = DicomwebDestination(server.url).send(PROJECT, files)
    assert result.delivered == set()
    assert set(result.refused) == {file.sop_uid for file in files}


def test_what_is_there_already_counts_as_delivered(tmp_path: Path) -> None:
    files = output_files(tmp_path, count=2)
    one, two = (file.sop_uid for file in files)
    with StowServer([(409, answer(failed={one: 45070, two: 43264}))]) as server:
        result = DicomwebDestination(server.url).send(PROJECT, files)
    assert (result.already, set(result.refused)) == ({one}, {two})


def test_what_is_pending_is_sent_again(tmp_path: Path) -> None:
    (file,) = output_files(tmp_path, count=1)
    answers = [(409, answer(failed={file.sop_uid: 45071})), (200, answer(stored=[file.sop_uid]))]
    with StowServer(answers) as server:
        assert DicomwebDestination(server.url, wait=(0.01, 0.05)).send(PROJECT, [file]).stored == {file.sop_uid}


def test_a_batch_that_is_too_large_is_halved(tmp_path: Path) -> None:
    one, two = output_files(tmp_path, count=2)
    answers = [(413, {}), (200, answer(stored=[one.sop_uid])), (413, {})]
    with StowServer(answers) as server:
        result = DicomwebDestination(server.url).send(PROJECT, [one, two])
    assert (result.stored, set(result.refused)) == ({one.sop_uid}, {two.sop_uid})


def test_a_token_that_ran_out_is_renewed_once(tmp_path: Path) -> None:
    (file,) = output_files(tmp_path, count=1)
    tokens = iter(["old", "new", "newer"])
    with StowServer([(401, {}), (200, answer(stored=[file.sop_uid]))]) as server:
        assert DicomwebDestination(server.url, lambda fresh: next(tokens)).send(PROJECT, [file]).stored
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer old", "Bearer new"]


def test_a_service_without_room_is_told_as_full(tmp_path: Path) -> None:
    with StowServer([(507, {})]) as server, pytest.raises(StorageFull, match="No room"):
        DicomwebDestination(server.url).send(PROJECT, output_files(tmp_path, count=1))


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with StowServer([(307, {})]) as server, pytest.raises(DestinationRefused, match="307"):
        DicomwebDestination(server.url).send(PROJECT, output_files(tmp_path, count=1))


def test_only_the_given_authority_is_trusted(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = output_files(tmp_path, count=1)
    other = Authority(tmp_path / "other")
    # A variable that requests would obey if it were let to.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    with StowServer([(200, answer(stored=[file.sop_uid]))], authority=authority) as server:
        for ca in (None, other.bundle):
            with pytest.raises(DestinationRefused, match="certificate"):
                DicomwebDestination(server.url, ca=ca).send(PROJECT, [file])
        assert DicomwebDestination(server.url, ca=authority.bundle).send(PROJECT, [file]).stored == {file.sop_uid}


def test_an_orthanc_that_goes_away_and_comes_back_has_everything(
    start_orthanc: Callable[..., Orthanc], tmp_path: Path
) -> None:
    orthanc = start_orthanc(tmp_path / "orthanc")
    target = destination(orthanc)
    files = output_files(tmp_path / "work", count=6)
    target.send(PROJECT, files[:3])
    orthanc.kill()
    with pytest.raises(DestinationUnavailable):
        target.send(PROJECT, files)
    orthanc.start()
    assert target.send(PROJECT, files).delivered == {file.sop_uid for file in files}
    assert dicom_files(orthanc) == {file.sop_uid: file.path.read_bytes() for file in files}


def test_batches_close_by_number(orthanc: Orthanc, tmp_path: Path) -> None:
    target = destination(orthanc)
    files = output_files(tmp_path, count=BATCH_FILES + 1)
    assert len(target.send(PROJECT, files).stored) == BATCH_FILES + 1
    assert len(dicom_files(orthanc)) == BATCH_FILES + 1


# -- Azure's service, by its conformance statement (version 2)


def azure(url: str, vault: KeyVault, **changes: Any) -> DicomwebDestination:
    """The destination as a site sets it up: through its block, with a service principal."""
    settings = {
        "url": url,
        "authentication": "entra",
        "tenant_id": vault.tenant_id,
        "client_id": vault.client_id,
        "client_secret": vault.client_secret,
        "authority": vault.url,
        "ca_file": vault.bundle,
    }
    block = DicomwebServer(**settings | changes)
    return DicomwebDestination(block.url, block.login(), block.ca_file, attempts=1)


def test_an_entra_token_is_taken_once_and_anew_when_it_is_refused(
    key_vault: KeyVault, authority: Authority, tmp_path: Path
) -> None:
    (file,) = output_files(tmp_path, count=1)
    good = answer(stored=[file.sop_uid])
    with StowServer([(200, good), (200, good), (401, {}), (200, good), (401, {}), (401, {})], authority=authority) as server:
        target = azure(server.url.replace("127.0.0.1", "localhost"), key_vault)
        for _ in range(3):
            assert target.send(PROJECT, [file]).stored
        with pytest.raises(DestinationRefused, match="credentials"):
            target.send(PROJECT, [file])
    tokens = [headers["Authorization"].removeprefix("Bearer ") for headers in server.headers]
    assert tokens[0] == tokens[1] == tokens[2] != tokens[3] == tokens[4] != tokens[5]
    audiences = {key_vault.tokens[token][1] for token in tokens}
    assert audiences == {"https://dicom.healthcareapis.azure.com"}


def test_without_a_token_nothing_is_sent(key_vault: KeyVault, tmp_path: Path) -> None:
    files = output_files(tmp_path, count=1)
    with StowServer([]) as server:
        with pytest.raises(DestinationRefused, match="no token") as caught:
            azure(server.url, key_vault, client_secret="SECRETWORD").send(PROJECT, files)
        with pytest.raises(DestinationUnavailable, match="tokens"):
            azure(server.url, key_vault, authority=f"https://localhost:{free_port()}").send(PROJECT, files)
    assert "SECRETWORD" not in str(caught.value)
    assert server.requests == []


def test_a_fixed_token_is_sent_and_has_no_other(tmp_path: Path) -> None:
    (file,) = output_files(tmp_path, count=1)
    with StowServer([(200, answer(stored=[file.sop_uid])), (401, {})]) as server:
        block = DicomwebServer(url=server.url, authentication="bearer", token="SECRETWORD")
        target = DicomwebDestination(server.url, block.login())
        assert target.send(PROJECT, [file]).stored
        with pytest.raises(DestinationRefused):
            target.send(PROJECT, [file])
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer SECRETWORD"}
    assert "SECRETWORD" not in f"{block!r}{target!r}"


def test_some_stored_some_refused_some_there_already(tmp_path: Path) -> None:
    """202: 45070 already there, 43264 not valid, 43265 of another study; a warning is a stored one."""
    files = output_files(tmp_path, count=4)
    one, two, three, four = (file.sop_uid for file in files)
    with StowServer([(202, answer(stored=[one], failed={two: 45070, three: 43264, four: 43265}))]) as server:
        result = DicomwebDestination(server.url).send(PROJECT, files)
    assert (result.stored, result.already, set(result.refused)) == ({one}, {two}, {three, four})


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_is_not_asked_again_before_it_wants_to_be(tmp_path: Path, status: int) -> None:
    (file,) = output_files(tmp_path, count=1)
    answers = [(status, {}), (200, answer(stored=[file.sop_uid]))]
    with StowServer(answers, more={"Retry-After": "1"}) as server:
        start = time.monotonic()
        assert DicomwebDestination(server.url, wait=(0.01, 5)).send(PROJECT, [file]).stored
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize("text", ["3600", "Fri, 20 Nov 2099 00:00:00 GMT"])
def test_a_service_that_wants_a_long_rest_is_left_alone_at_once(tmp_path: Path, text: str) -> None:
    with StowServer([(429, {})], more={"Retry-After": text}) as server:
        with pytest.raises(DestinationUnavailable, match="429"):
            DicomwebDestination(server.url).send(PROJECT, output_files(tmp_path, count=1))
        assert len(server.requests) == 1


def test_a_study_is_deleted_and_looked_for_afterwards() -> None:
    found, query = [{"0020000D": {"vr": "UI", "Value": ["2.25.1"]}}], "/studies?StudyInstanceUID="
    answers = [(200, found), (204, None), (204, None), (200, []), (200, found), (403, {}), (200, found)]
    with StowServer(answers) as server:
        result = DicomwebDestination(server.url).withdraw(PROJECT, ["2.25.1", "2.25.2", "2.25.3"])
    assert (result.removed, result.absent, result.left) == ({"2.25.1"}, {"2.25.2"}, {"2.25.3": Left.REFUSED})
    assert server.requests[:3] == [f"GET {query}2.25.1&limit=1", "DELETE /studies/2.25.1", f"GET {query}2.25.1&limit=1"]

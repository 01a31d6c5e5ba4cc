"""Archives and our receiver of a project, from its settings and the blocks that they name."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from blocks import DicomNode, DicomwebServer, StorageNode
from safelight.archive import Archive, Intake, StorageReceiver, WebService
from safelight.dimse.tls import called_context, calling_context
from safelight.errors import ConfigurationError
from tasks.wiring import load_block

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from safelight.archive import RawCache, Throttle
    from safelight.archive.settings import ArchiveUse


def archive_of(use: ArchiveUse, throttle: Throttle) -> Archive:
    """Return an archive as a project uses it."""
    if use.retrieve == "dicomweb":
        server = load_block(DicomwebServer, use.block)
        certificate = pair(use.block, server.cert_file, server.key_file)
        service = WebService(server.url, auth=server.login(), ca=server.ca_file, certificate=certificate)
        return Archive(use.block, service, use=use, throttle=throttle)
    node = load_block(DicomNode, use.block)
    return Archive(
        use.block,
        node,
        calling_ae_title=node.calling_ae_title,
        use=use,
        throttle=throttle,
        tls=tls_to(node, use.block),
    )


@contextmanager
def receiver_of(block: str, archives: Sequence[Archive], cache: RawCache) -> Iterator[StorageReceiver | Intake]:
    """Yield what studies arrive at: nothing listens when no archive moves them to us."""
    peers = [peer for archive in archives if (peer := archive.mover) is not None]
    if not peers:
        intake = Intake(cache.spool)
        try:
            yield intake
        finally:
            intake.close()
        return
    node = load_block(StorageNode, block)
    with StorageReceiver(
        node.ae_title, node.host, node.port, spool=cache.spool, peers=peers, tls=tls_from(node, block)
    ) as receiver:
        yield receiver


def tls_to(node: DicomNode, block: str) -> ssl.SSLContext | None:
    """Return the context for calling a node; None where it has no TLS."""
    if not node.tls:
        return None
    return calling_context(block, node.ca_file, pair(block, node.cert_file, node.key_file), check_host=node.check_host)


def tls_from(node: StorageNode, block: str) -> ssl.SSLContext | None:
    """Return the context of our receiver; None where it has no TLS."""
    if not node.tls:
        return None
    certificate = pair(block, node.cert_file, node.key_file)
    if node.ca_file is None or certificate is None:
        raise ConfigurationError(
            f"The receiver's block '{block}' has TLS without certificates.",
            remedy="Give ca_file, cert_file and key_file; callers without a certificate of that authority are refused.",
        )
    return called_context(block, node.ca_file, certificate)


def pair(block: str, certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """Return both files of our certificate; None where there is none."""
    if certificate is not None and key is not None:
        return certificate, key
    if certificate is not None or key is not None:
        raise ConfigurationError(f"Block '{block}' has only one of cert_file and key_file.", remedy="Give both, or neither.")
    return None

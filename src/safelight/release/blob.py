"""A container of Azure Blob Storage as destination: a blob an instance, or a blob a table.

The client library belongs to the application and not to the domain, so what is needed of it is declared here, and
whoever builds the client hands it in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from safelight.errors import DestinationRefused, DestinationUnavailable

_CHUNK: Final = 1 << 20


class BlobContainer(Protocol):
    """A container. Memory is flat in the size of a blob, and a call is tried again for as long as its builder says.

    Raises:
        PermissionError: refused for good: credentials, rights, no such container.
        ConnectionError: no answer, or asked to wait for longer than it was ready to.
    """

    def find(self, name: str) -> tuple[int, str] | None:
        """Return size in bytes and SHA-256 (empty: not known) of a blob, or None."""
        ...

    def put(self, name: str, path: Path, sha256: str) -> None:
        """Upload a file, in place of an older blob, with its digest. The blob appears complete or not at all."""
        ...

    def fetch(self, name: str, path: Path) -> bool:
        """Download a blob. False: there is none."""
        ...

    def delete(self, name: str) -> bool:
        """Delete a blob. False: there is none."""
        ...

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the names of all blobs with the prefix."""
        ...


@dataclass(frozen=True)
class BlobStore:
    """A container of blobs. ``name`` is that of its block."""

    container: BlobContainer = field(repr=False)
    name: str = "blob"

    def check(self, project: str) -> None:
        """Ask for a blob that need not be there. Raises DestinationRefused or DestinationUnavailable."""
        with self._faults():
            self.container.find(f"{project}/.probe")

    @contextmanager
    def open(self) -> Iterator[BlobStore]:
        """Return itself: each call stands alone."""
        yield self

    def compare(self, name: str, path: Path) -> bool | None:
        """Compare with the digest that the blob was uploaded with; one that has none counts as another's."""
        with self._faults():
            found = self.container.find(name)
        return None if found is None else found == (path.stat().st_size, _sha256(path))

    def put(self, name: str, path: Path) -> None:
        """Upload the file."""
        with self._faults():
            self.container.put(name, path, _sha256(path))

    def fetch(self, name: str, path: Path) -> bool:
        """Download a blob."""
        with self._faults():
            return self.container.fetch(name, path)

    def delete(self, name: str) -> bool:
        """Delete a blob."""
        with self._faults():
            return self.container.delete(name)

    def names(self, folder: str) -> list[str]:
        """Return the names of all blobs below a folder."""
        with self._faults():
            return sorted(self.container.names(f"{folder}/"))

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except PermissionError:
            raise DestinationRefused(
                f"The blob container '{self.name}' refused.",
                remedy="Check account, container, credentials and the rights that they give, in its block.",
            ) from None
        except ConnectionError:
            raise DestinationUnavailable(
                f"The blob container '{self.name}' did not answer.", remedy="Check network and address, then run again."
            ) from None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()

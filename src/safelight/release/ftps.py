"""An FTPS server (RFC 4217) as destination: explicit or implicit, certificate and host name verified, data encrypted.

Data connections take up the TLS session of the control connection: many servers demand it, since it shows that both are
the same client's. A file is sent under a temporary name that says its content, and renamed when the server has all of
it; so a sending that was cut off goes on where it was, and nobody there sees half a file.
"""

from __future__ import annotations

import ftplib
import hashlib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from safelight.errors import DestinationRefused, SafelightError, StorageFull
from safelight.release.attempts import TryAgain, retrying

T = TypeVar("T")
_CHUNK: Final = 1 << 20
_PART: Final = ".part"
# Replies of RFC 959 section 4.2.2.
_NOT_LOGGED_IN, _NO_ACCOUNT, _NO_FILE, _NO_ROOM = "530", "430", "550", ("452", "552")


@dataclass(frozen=True)
class FtpsStore:
    """An FTPS server.

    Args:
        host: name of the server; its certificate must be for it.
        port: 21 for explicit and 990 for implicit TLS as a rule.
        username: the account.
        password: its password.
        implicit: TLS from the first byte, instead of after AUTH TLS.
        ca: certificate authority to trust instead of the system's.
        folder: where files go, below where the account starts.
        name: its name in manifests.
        attempts: attempts a command.
        wait: waits between attempts: first and longest, in seconds; doubled each time.
        timeout: longest silence in seconds.
    """

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    implicit: bool = False
    ca: Path | None = None
    folder: str = ""
    name: str = "ftps"
    attempts: int = 5
    wait: tuple[float, float] = (0.5, 30.0)
    timeout: float = 60.0

    def check(self, project: str) -> None:
        """Log in and make the project's folder. Raises DestinationRefused or DestinationUnavailable."""
        with self.open() as store:
            store.make_folder(project)

    @contextmanager
    def open(self) -> Iterator[OpenFtps]:
        """Open a connection when it is first needed, and log out at the end."""
        store = OpenFtps(self)
        try:
            yield store
        finally:
            store.close()


class OpenFtps:
    """A connection, made again where it is lost."""

    def __init__(self, settings: FtpsStore) -> None:
        self._settings = settings
        self._connection: _Connection | None = None
        self._folders: set[str] = set()

    def make_folder(self, folder: str) -> None:
        """Make a folder and those above it."""
        self._attempt(lambda ftp: self._make(ftp, f"{self._path(folder)}/"))

    def compare(self, name: str, path: Path) -> bool | None:
        """Compare size, and bytes where they may be read; a server that lets nobody read is believed its size."""
        return self._attempt(lambda ftp: self._same(ftp, self._path(name), path))

    def put(self, name: str, path: Path) -> None:
        """Upload the file, or what is missing of it there, and rename it."""
        target = self._path(name)
        part = f"{target}.{_digest(path)}{_PART}"
        self._attempt(lambda ftp: self._upload(ftp, target, part, path))

    def fetch(self, name: str, path: Path) -> bool:
        """Download a file. False: it is not there, or may not be read."""
        return self._attempt(lambda ftp: self._download(ftp, self._path(name), path))

    def delete(self, name: str) -> bool:
        """Delete a file. False: it was not there."""
        return self._attempt(lambda ftp: _unless_missing(lambda: bool(ftp.delete(self._path(name)))) or False)

    def names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder; NLST tells no kinds, so what has no suffix is a folder."""
        return sorted(self._attempt(lambda ftp: list(self._below(ftp, folder))))

    def close(self) -> None:
        """Log out."""
        if self._connection is not None:
            with suppress(ftplib.Error, OSError, EOFError):
                self._connection.quit()
            self._drop()

    # -- parts

    def _path(self, name: str) -> str:
        return f"{self._settings.folder.rstrip('/')}/{name}" if self._settings.folder else name

    def _attempt(self, call: Callable[[_Connection], T]) -> T:
        def once() -> T:
            try:
                if self._connection is None:
                    self._connection = _connect(self._settings)
                return call(self._connection)
            except SafelightError:
                self._drop()
                raise
            except (ftplib.Error, OSError, EOFError) as error:
                self._drop()
                raise fault(error, self._settings.name) from None

        return retrying(self._settings.attempts, self._settings.wait)(once)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _make(self, ftp: _Connection, path: str) -> None:
        parts = path.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            folder = "/".join(parts[:count])
            if folder and folder not in self._folders:
                # It is there as a rule; where it can't be made, the file can't be put there either.
                with suppress(ftplib.error_perm):
                    ftp.mkd(folder)
                self._folders.add(folder)

    def _upload(self, ftp: _Connection, target: str, part: str, path: Path) -> None:
        self._make(ftp, target)
        size = path.stat().st_size
        there = ftp.length(part)
        if there is None or there < size:
            with path.open("rb") as file:
                file.seek(there or 0)
                ftp.storbinary(f"STOR {part}", file, _CHUNK, rest=there or None)
        if ftp.length(part) != size:
            with suppress(ftplib.error_perm):
                ftp.delete(part)
            raise TryAgain(f"The FTPS server '{self._settings.name}' did not keep all of a file.")
        try:
            ftp.rename(part, target)
        except ftplib.error_perm:
            # Some servers do not rename over a file.
            ftp.delete(target)
            ftp.rename(part, target)

    @staticmethod
    def _same(ftp: _Connection, target: str, path: Path) -> bool | None:
        size = ftp.length(target)
        if size is None or size != path.stat().st_size:
            return None if size is None else False
        with path.open("rb") as file:
            equal = True

            def compare(chunk: bytes) -> None:
                nonlocal equal
                equal = equal and file.read(len(chunk)) == chunk

            _unless_missing(lambda: ftp.retrbinary(f"RETR {target}", compare, _CHUNK))
        return equal

    @staticmethod
    def _download(ftp: _Connection, target: str, path: Path) -> bool:
        with path.open("wb") as file:
            return _unless_missing(lambda: ftp.retrbinary(f"RETR {target}", file.write, _CHUNK)) is not None

    def _below(self, ftp: _Connection, folder: str) -> Iterator[str]:
        for line in _unless_missing(lambda: ftp.nlst(self._path(folder))) or []:
            name = f"{folder}/{line.rstrip('/').rpartition('/')[2]}"
            if name.endswith((_PART, ".zip", ".parquet")):
                yield name
            else:
                yield from self._below(ftp, name)


class _Connection(ftplib.FTP_TLS):
    """FTP over TLS, implicit too, whose data connections take up the TLS session of the control connection."""

    def __init__(self, settings: FtpsStore, context: ssl.SSLContext) -> None:
        super().__init__(context=context, timeout=settings.timeout)
        self._implicit = settings.implicit

    def connect(self, host: str = "", port: int = 0, timeout: float = -999, source_address: Any = None) -> str:  # noqa: ANN401
        """Connect; with implicit TLS the greeting is read through TLS."""
        if not self._implicit:
            return super().connect(host, port, timeout, source_address)
        self.host, self.port = host, port
        raw = socket.create_connection((host, port), self.timeout)
        self.af = raw.family
        try:
            self.sock = self.context.wrap_socket(raw, server_hostname=host)
        except OSError:
            raw.close()
            raise
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        """Open a data connection under the same TLS session."""
        raw, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321  wrapped in TLS below
        assert isinstance(self.sock, ssl.SSLSocket)  # noqa: S101  there is no login without
        try:
            return self.context.wrap_socket(raw, server_hostname=self.host, session=self.sock.session), size
        except OSError:
            raw.close()
            raise

    def length(self, path: str) -> int | None:
        """Return a file's size in bytes, or None when there is no such file."""
        return _unless_missing(lambda: self.size(path))


def _connect(settings: FtpsStore) -> _Connection:
    context = ssl.create_default_context(cafile=settings.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    ftp = _Connection(settings, context)
    try:
        ftp.connect(settings.host, settings.port)
        if not settings.implicit:
            _start_tls(ftp, settings.name)
        ftp.login(settings.username, settings.password)
        ftp.prot_p()
        ftp.voidcmd("TYPE I")  # SIZE counts bytes only then
    except (SafelightError, ftplib.Error, OSError, EOFError):
        ftp.close()
        raise
    return ftp


def _start_tls(ftp: _Connection, name: str) -> None:
    try:
        ftp.auth()
    except ftplib.error_perm:
        raise DestinationRefused(
            f"The FTPS server '{name}' does not offer TLS, so nothing was sent, no password either.",
            remedy="Check port and 'implicit' in its block, and that it is an FTPS server.",
        ) from None


def _unless_missing(call: Callable[[], T]) -> T | None:
    try:
        return call()
    except ftplib.error_perm as error:
        if str(error)[:3] != _NO_FILE:
            raise
        return None


def fault(error: Exception, name: str) -> SafelightError:
    """Return our error for what ftplib raised. Replies quote paths, so they are not repeated."""
    code = str(error)[:3] if isinstance(error, ftplib.Error) else ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return DestinationRefused(
            f"The certificate of the FTPS server '{name}' is not to be trusted.",
            remedy="Give the right certificate authority, and the host's name as in the certificate, in its block.",
        )
    if code in _NO_ROOM:
        return StorageFull(f"No room is left on the FTPS server '{name}'.", remedy="Make room and run again.")
    if isinstance(error, ftplib.error_perm):
        words = "the credentials" if code in {_NOT_LOGGED_IN, _NO_ACCOUNT} else "the folder, and what the account may do,"
        return DestinationRefused(
            f"The FTPS server '{name}' refused with reply {code}.", remedy=f"Check {words} in its block."
        )
    return TryAgain(f"The FTPS server '{name}' did not answer as it should ({code or type(error).__name__}).")


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=8)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()

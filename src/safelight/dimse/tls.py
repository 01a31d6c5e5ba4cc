"""DICOM over TLS (PS3.15 annex B): contexts with certificates of both sides, and why a peer would not have it."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Final

from safelight.errors import ConfigurationError

_LEAST_VERSION: Final = ssl.TLSVersion.TLSv1_2
#: OpenSSL's verification codes that people can act on.
_UNTRUSTED: Final = {
    9: "is not valid yet",
    10: "has expired",
    18: "is signed by itself and not in ca_file",
    19: "is not signed by an authority in ca_file",
    20: "is not signed by an authority in ca_file",
    21: "is not signed by an authority in ca_file",
    62: "does not name its host",
    64: "does not name its address",
}
#: How long a refusal of our certificate is waited for: with TLS 1.3 it comes after the handshake.
_WAIT_SECONDS: Final = 2.0


def calling_context(
    name: str, ca: Path | None, certificate: tuple[Path, Path] | None, *, check_host: bool
) -> ssl.SSLContext:
    """Return the context of who opens associations.

    Args:
        name: of the block, for messages.
        ca: authority, or the peer's own certificate; None: the system's authorities.
        certificate: files of our certificate and its key; None: none is shown.
        check_host: whether the peer's certificate must name the host that is called.

    Raises:
        ConfigurationError: a file is missing or unreadable as what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_host
    return _loaded(context, name, ca, certificate)


def called_context(name: str, ca: Path, certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """Return the context of who is called: callers must show a certificate of ``ca``. Raises as ``calling_context``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _loaded(context, name, ca, certificate)


def _loaded(context: ssl.SSLContext, name: str, ca: Path | None, certificate: tuple[Path, Path] | None) -> ssl.SSLContext:
    context.minimum_version = _LEAST_VERSION
    what = "ca_file"
    try:
        if ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(ca)
        what = "cert_file or key_file"
        if certificate is not None:
            # An encrypted key would be asked for at a terminal.
            context.load_cert_chain(*certificate, password=lambda: b"")
    except (OSError, ValueError):
        raise ConfigurationError(
            f"The {what} of block '{name}' can't be read, or is not what it should be.",
            remedy="Both are PEM files, the key without a password, and the certificate belongs to the key.",
        ) from None
    return context


def why_refused(context: ssl.SSLContext, host: str, port: int) -> str:
    """Call a peer once more and return why there is no TLS with it, in words; empty when that is not the reason."""
    shaken = False
    try:
        with (
            socket.create_connection((host, port), timeout=_WAIT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False) as secure,
        ):
            secure.do_handshake()
            shaken = True
            secure.recv(1)
    except ssl.SSLCertVerificationError as error:
        return f"its certificate {_UNTRUSTED.get(error.verify_code, 'is not to be trusted')}"
    except (ssl.SSLEOFError, ConnectionResetError):
        return "it wants a certificate of ours that it trusts" if shaken else "it does not speak TLS at this port"
    except ssl.SSLError as error:
        reason = error.reason or ""
        if "WRONG_VERSION" in reason:
            return "it does not speak TLS at this port"
        if "EXPIRED" in reason:
            return "it says that our certificate has expired"
        if "ALERT" in reason:
            return "it wants a certificate of ours that it trusts"
        return "there is no version or cipher that both allow"
    except OSError:
        return ""
    return ""

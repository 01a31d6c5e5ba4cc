"""vsftpd, an FTPS server that insists on TLS: how some sites hand over files."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from tests.services.certificates import Authority
from tests.services.process import Program, accepts_connections, free_port, program


class Vsftpd:
    """A running vsftpd: FTPS only, on control and data connections, with TLS session reuse required.

    Its one account is vsftpd's anonymous one with a password list, which needs nothing in the machine's own files.

    Args:
        folder: For its configuration, files and log.
        authority: Signs its certificate; clients must trust ``authority.bundle``.
        implicit: TLS from the first byte, instead of explicit FTPS.
        more: More of vsftpd's own settings.
    """

    username = "ftp"
    password = "research@example.org"

    def __init__(self, folder: Path, authority: Authority, *, implicit: bool = False, **more: str) -> None:
        self.host = "localhost"
        self.port = free_port()
        self.bundle = authority.bundle
        #: Clients start in this folder and put their files below ``inbox`` (a relative path: there is no chroot).
        self.root = folder / "files"
        self.inbox = self.root / "inbox"
        self.inbox.mkdir(parents=True, exist_ok=True)
        certificate = authority.issue("vsftpd")
        passwords = folder / "passwords"
        passwords.write_text(f"{self.password}\n")
        settings: dict[str, object] = {
            "listen": "YES",
            "listen_ipv6": "NO",
            "listen_address": "127.0.0.1",
            "listen_port": self.port,
            "background": "NO",
            "seccomp_sandbox": "NO",
            # Everything as the user who runs the tests: no chroot, no change of user, no file outside this folder.
            "run_as_launching_user": "YES",
            "nopriv_user": pwd.getpwuid(os.getuid()).pw_name,
            "ftp_username": pwd.getpwuid(os.getuid()).pw_name,
            "local_enable": "NO",
            "anonymous_enable": "YES",
            "secure_email_list_enable": "YES",
            "email_password_file": passwords,
            "anon_root": self.root,
            "write_enable": "YES",
            "anon_upload_enable": "YES",
            "anon_mkdir_write_enable": "YES",
            "anon_other_write_enable": "YES",
            "anon_world_readable_only": "NO",
            "anon_umask": "077",
            "pasv_address": "127.0.0.1",
            "ssl_enable": "YES",
            "allow_anon_ssl": "YES",
            "force_anon_logins_ssl": "YES",
            "force_anon_data_ssl": "YES",
            "require_ssl_reuse": "YES",
            "rsa_cert_file": certificate.pem,
            "ssl_ciphers": "HIGH",
            "xferlog_enable": "NO",
            "vsftpd_log_file": folder / "vsftpd-transfers.log",
            "implicit_ssl": "YES" if implicit else "NO",
            **more,
        }
        configuration = folder / "vsftpd.conf"
        configuration.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        configuration.chmod(0o600)
        self._program = Program([program("vsftpd"), str(configuration)], folder, lambda: accepts_connections(self.port))

    def log(self) -> str:
        """What it has printed so far."""
        return self._program.log()

    def stop(self) -> None:
        """Shut it down."""
        self._program.stop()

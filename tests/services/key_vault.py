"""A key vault that speaks the protocols of Azure Key Vault and Entra ID, for Microsoft's own client.

There is no emulator to install. This one is held to the real client library: it challenges as Key Vault does (401 with
the authority and resource to ask), hands out tokens as Entra does (OAuth 2.0 client credentials), and keeps versions of
secrets. Sources: Key Vault REST API 7.6, "Authentication, requests and responses"; RFC 6749, section 4.4.
"""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.services.certificates import Authority

TENANT = "5afe1194-0000-4000-8000-000000000001"


class KeyVault:
    """A running vault, and the Entra tenant that guards it, on one HTTPS port.

    Args:
        authority: Signs its certificate; clients must trust ``bundle``.
    """

    tenant_id = TENANT
    client_id = "5afe1194-0000-4000-8000-000000000002"

    def __init__(self, authority: Authority) -> None:
        self.bundle = authority.bundle
        self.client_secret = secrets.token_urlsafe(16)
        #: Clients that Entra knows -> their secret. A second one has no access to the vault.
        self.clients = {self.client_id: self.client_secret, "stranger": "stranger's secret"}
        self.allowed = {self.client_id}
        #: Answer so many requests for secrets with this status first: (status, how many).
        self.trouble: tuple[int, int] = (0, 0)
        #: Paths of the requests that were answered, without their query.
        self.requests: list[str] = []
        self.tokens: dict[str, tuple[str, str, float]] = {}
        self._secrets: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        certificate = authority.issue("key-vault")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        vault = self

        class Handler(_Handler):
            service = vault

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Address of the vault; the tenant's authority is at the same one."""
        return f"https://localhost:{self._server.server_address[1]}"

    def set_secret(self, name: str, value: str | bytes) -> None:
        """Add a version of a secret; bytes are kept as base64."""
        text = value if isinstance(value, str) else base64.b64encode(value).decode()
        with self._lock:
            self._secrets.setdefault(name, {})[secrets.token_hex(16)] = text

    def find_secret(self, name: str, version: str) -> tuple[str, str] | None:
        """Version and value; the newest where no version is asked for."""
        versions = self._secrets.get(name, {})
        found = version or next(reversed(versions), "")
        return (found, versions[found]) if found in versions else None

    def issue_token(self, client_id: str, audience: str) -> str:
        """A token as Entra would make it: a JWT, whose signature nobody here checks."""
        now = int(time.time())
        claims = {
            "aud": audience, "iss": f"https://sts.windows.net/{TENANT}/", "iat": now, "nbf": now - 5, "exp": now + 3600,
            "appid": client_id, "tid": TENANT, "jti": secrets.token_hex(8),
        }  # fmt: skip
        parts = ({"alg": "RS256", "typ": "JWT"}, claims)
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
        token = ".".join((*encoded, secrets.token_urlsafe(32)))
        self.tokens[token] = (client_id, audience, time.monotonic() + 3600)
        return token

    def trouble_now(self) -> int:
        """The status to fail with now, counted down; 0 for none."""
        with self._lock:
            status, left = self.trouble
            self.trouble = (status, max(0, left - 1))
        return status if left else 0

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: KeyVault

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != f"/{TENANT}/oauth2/v2.0/token":
            return self._answer(HTTPStatus.NOT_FOUND, {"error": "invalid_request"})
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        client_id = form.get("client_id", "")
        if form.get("grant_type") != "client_credentials":
            return self._answer(HTTPStatus.BAD_REQUEST, {"error": "unsupported_grant_type", "error_codes": [70003]})
        if self.service.clients.get(client_id, object()) != form.get("client_secret"):
            description = "AADSTS7000215: Invalid client secret provided."
            answer = {"error": "invalid_client", "error_description": description, "error_codes": [7000215]}
            return self._answer(HTTPStatus.UNAUTHORIZED, answer)
        audience = form.get("scope", "").removesuffix("/.default")
        token = self.service.issue_token(client_id, audience)
        return self._answer(
            HTTPStatus.OK, {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}
        )

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        parts = address.path.strip("/").split("/")
        if address.path == f"/{TENANT}/v2.0/.well-known/openid-configuration":
            return self._answer(HTTPStatus.OK, self._openid_configuration())
        if parts[0] != "secrets" or len(parts) not in (2, 3):
            return self._answer(HTTPStatus.NOT_FOUND, _error("NotFound", "There is nothing here."))
        self.service.requests.append(address.path)
        if status := self.service.trouble_now():
            return self._answer(status, _error("Trouble", "The service has trouble."), {"Retry-After": "0"})
        if "api-version" not in parse_qs(address.query):
            return self._answer(HTTPStatus.BAD_REQUEST, _error("BadParameter", "api-version must be specified"))
        client_id = self._client()
        if client_id is None:
            challenge = f'Bearer authorization="{self.service.url}/{TENANT}", resource="https://vault.azure.net"'
            answer = _error("Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
            return self._answer(HTTPStatus.UNAUTHORIZED, answer, {"WWW-Authenticate": challenge})
        if client_id not in self.service.allowed:
            return self._answer(HTTPStatus.FORBIDDEN, _error("Forbidden", "Caller is not authorized to perform action"))
        name, version = parts[1], parts[2] if len(parts) > 2 else ""
        found = self.service.find_secret(name, version)
        if found is None:
            return self._answer(HTTPStatus.NOT_FOUND, _error("SecretNotFound", f"A secret named {name} was not found."))
        now = int(time.time())
        attributes = {"enabled": True, "created": now, "updated": now, "recoveryLevel": "Recoverable"}
        identity = f"{self.service.url}/secrets/{name}/{found[0]}"
        return self._answer(HTTPStatus.OK, {"value": found[1], "id": identity, "attributes": attributes})

    def _client(self) -> str | None:
        """Who asks, by the token; nobody when it is missing, unknown, too old or for another service."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        client_id, audience, end = self.service.tokens.get(token, ("", "", 0.0))
        return client_id if audience == "https://vault.azure.net" and time.monotonic() < end else None

    def _openid_configuration(self) -> dict[str, Any]:
        base = f"{self.service.url}/{TENANT}"
        return {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        }

    def _answer(self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}

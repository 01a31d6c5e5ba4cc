"""Ed25519 signatures (RFC 8032): who has a manifest and the public key can tell that it is the hospital's, and unchanged."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from safelight.errors import ConfigurationError, KeyUnavailable

SEED_BYTES: Final = 32


@dataclass(frozen=True)
class SigningKey:
    """The hospital's private key for releases: 32 bytes. Signing the same bytes again gives the same signature.

    Raises:
        KeyUnavailable: not 32 bytes.
    """

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a key of another size."""
        if len(self.seed) != SEED_BYTES:
            raise KeyUnavailable(
                f"The key that signs releases must have {SEED_BYTES} bytes.",
                remedy="Make one: 'safelight key signing FOLDER'.",
            )

    def sign(self, data: bytes) -> str:
        """Return the signature in base64."""
        return base64.b64encode(Ed25519PrivateKey.from_private_bytes(self.seed).sign(data)).decode()

    @property
    def public(self) -> PublicKey:
        """The key that others check with."""
        return PublicKey(Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())


@dataclass(frozen=True)
class PublicKey:
    """The key that signatures are checked with: 32 bytes, no secret."""

    raw: bytes

    @classmethod
    def of_text(cls, text: str) -> PublicKey:
        """Return the key of a PEM file, or of the base64 in a manifest. Raises ConfigurationError."""
        try:
            if "-----BEGIN" in text:
                found = load_pem_public_key(text.encode())
                if not isinstance(found, Ed25519PublicKey):
                    raise ValueError
                return cls(found.public_bytes_raw())
            return cls(Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True)).public_bytes_raw())
        except ValueError:
            raise ConfigurationError(
                "This is no Ed25519 public key.", remedy="Give the .pem file that is published with the manifests."
            ) from None

    @property
    def text(self) -> str:
        """The key in base64."""
        return base64.b64encode(self.raw).decode()

    @property
    def pem(self) -> str:
        """The key as a PEM file."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def name(self) -> str:
        """The first 16 hexadecimal digits of its SHA-256: names it in files and in words."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def verifies(self, data: bytes, signature: str) -> bool:
        """Tell whether the signature (base64) is this key's, of these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(base64.b64decode(signature, validate=True), data)
        except (InvalidSignature, ValueError):
            return False
        return True

"""The key of a project comes out of Azure Key Vault through Microsoft's own client, or the run stops."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.pseudonym_keys import KeyUnreadable, PseudonymKeyVault
from tests.services.certificates import Authority
from tests.services.key_vault import KeyVault

KEY, SALT = bytes(range(64)), bytes(range(100, 116))


def _block(vault: KeyVault, **changes: Any) -> PseudonymKeyVault:
    settings: dict[str, Any] = {
        "vault_url": vault.url,
        "key_secret": "key-chest",
        "salt_secret": "salt-chest",
        "tenant_id": vault.tenant_id,
        "client_id": vault.client_id,
        "client_secret": vault.client_secret,
        "authority": vault.url,
        "ca_file": vault.bundle,
        "verify_challenge_resource": False,
    }
    return PseudonymKeyVault(**settings | changes)


@pytest.fixture
def filled_vault(key_vault: KeyVault) -> KeyVault:
    key_vault.set_secret("key-chest", KEY)
    key_vault.set_secret("salt-chest", SALT)
    return key_vault


def test_key_and_salt_are_what_was_put_in(filled_vault: KeyVault) -> None:
    assert _block(filled_vault).read() == (KEY, SALT)
    assert _block(filled_vault).read() == (KEY, SALT)


def test_the_key_that_signs_releases_has_no_salt(filled_vault: KeyVault) -> None:
    assert _block(filled_vault, salt_secret="").read() == (KEY, b"")


def test_the_newest_version_counts(filled_vault: KeyVault) -> None:
    filled_vault.set_secret("key-chest", KEY[::-1])
    assert _block(filled_vault).read() == (KEY[::-1], SALT)


def test_a_throttled_vault_is_asked_again(filled_vault: KeyVault) -> None:
    filled_vault.trouble = (429, 2)
    assert _block(filled_vault).read() == (KEY, SALT)
    assert len(filled_vault.requests) > 4


def test_a_secret_of_the_client_that_was_renewed_opens_the_vault_as_the_old_one_did(filled_vault: KeyVault) -> None:
    old = filled_vault.client_secret
    assert _block(filled_vault).read() == (KEY, SALT)
    filled_vault.clients[filled_vault.client_id] = "renewed"
    with pytest.raises(KeyUnreadable):
        _block(filled_vault, client_secret=old).read()
    assert _block(filled_vault, client_secret="renewed").read() == (KEY, SALT)


def test_trouble_that_does_not_end_stops_and_is_over_when_it_is_over(filled_vault: KeyVault) -> None:
    filled_vault.trouble = (503, 1_000)
    with pytest.raises(KeyUnreadable) as raised:
        _block(filled_vault).read()
    assert "localhost" not in f"{raised.value} {raised.value.__cause__}"
    assert len(filled_vault.requests) < 10
    filled_vault.trouble = (0, 0)
    assert _block(filled_vault).read() == (KEY, SALT)


def test_a_vault_that_is_gone_stops(authority: Authority) -> None:
    vault = KeyVault(authority)
    vault.stop()
    with pytest.raises(KeyUnreadable, match="did not give"):
        _block(vault).read()


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": "wrong"},
        {"client_id": "stranger", "client_secret": "stranger's secret"},
        {"key_secret": "no-such-secret"},
        {"ca_file": None},
        {"verify_challenge_resource": True},
    ],
    ids=["wrong secret", "no access", "no such key", "unknown authority", "challenge for another domain"],
)
def test_a_key_that_cannot_be_read_stops_and_shows_nothing(filled_vault: KeyVault, changes: dict[str, Any]) -> None:
    with pytest.raises(KeyUnreadable) as raised:
        _block(filled_vault, **changes).read()
    shown = f"{raised.value} {raised.value.__cause__}"
    assert filled_vault.client_secret not in shown
    assert "localhost" not in shown
    assert raised.value.__suppress_context__


def test_a_secret_that_is_not_base64_stops(filled_vault: KeyVault) -> None:
    filled_vault.set_secret("salt-chest", "not base64!")
    with pytest.raises(KeyUnreadable, match="base64") as raised:
        _block(filled_vault).read()
    assert "not base64!" not in str(raised.value)


def test_the_client_secret_is_not_shown(filled_vault: KeyVault) -> None:
    block = _block(filled_vault)
    assert filled_vault.client_secret not in f"{block!r} {block.model_dump_json()}"

"""``safelight key``: make a project's key and salt, and the key that signs releases."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from safelight.errors import ConfigurationError, StorageUnwritable
from safelight.pseudonym import KEY_BYTES, SALT_BYTES
from safelight.release.signing import SEED_BYTES, SigningKey


@click.group()
def command() -> None:
    """Make the key and salt of a project, and the key that signs releases."""


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def new(folder: Path) -> None:
    """Write FOLDER/key (64 bytes) and FOLDER/salt (16 bytes), readable by you alone; never overwrites.

    Put both, in base64, into the vault, and delete the files: who has them can rebuild the project's pseudonyms.

    Example: safelight key new ./keys-of-my-project
    """
    _write(folder, {"key": secrets.token_bytes(KEY_BYTES), "salt": secrets.token_bytes(SALT_BYTES)})
    click.echo(f"{folder / 'key'}\n{folder / 'salt'}")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def signing(folder: Path) -> None:
    """Write FOLDER/signing-key (32 bytes), readable by you alone, and FOLDER/<name>.pem, the public key; never overwrites.

    Put the first, in base64, into the vault, and delete the file. Give the second to whoever receives releases.

    Example: safelight key signing ./keys-of-the-hospital
    """
    key = SigningKey(secrets.token_bytes(SEED_BYTES))
    public = f"{key.public.name}.pem"
    _write(folder, {"signing-key": key.seed, public: key.public.pem.encode()})
    click.echo(f"{folder / 'signing-key'}\n{folder / public}")


def _write(folder: Path, files: dict[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, data in files.items():
            # O_EXCL: a second run must never replace a key in use.
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
    except FileExistsError:
        raise ConfigurationError("There is a key or salt in that folder already.", remedy="Give another folder.") from None
    except OSError as error:
        raise StorageUnwritable(
            f"The folder can't be written ({type(error).__name__}).", remedy="Give another folder."
        ) from None

"""``safelight key``: make a project's key and salt."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from safelight.errors import ConfigurationError, StorageUnwritable
from safelight.pseudonym import KEY_BYTES, SALT_BYTES


@click.group()
def command() -> None:
    """Make the key and salt of a project."""


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def new(folder: Path) -> None:
    """Write FOLDER/key (64 bytes) and FOLDER/salt (16 bytes), readable by you alone; never overwrites.

    Put both, in base64, into the vault, and delete the files: who has them can rebuild the project's pseudonyms.

    Example: safelight key new ./keys-of-my-project
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, size in (("key", KEY_BYTES), ("salt", SALT_BYTES)):
            # O_EXCL: a second run must never replace a key in use.
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(size))
    except FileExistsError:
        raise ConfigurationError("There is a key or salt in that folder already.", remedy="Give another folder.") from None
    except OSError as error:
        raise StorageUnwritable(
            f"The folder can't be written ({type(error).__name__}).", remedy="Give another folder."
        ) from None
    click.echo(f"{folder / 'key'}\n{folder / 'salt'}")

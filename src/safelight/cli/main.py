"""``safelight``: what needs no orchestrator.

Exit status: 0 done, 1 something was set aside, 2 wrong use or configuration, 3 a passing failure (try again).
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import Final

import click

import safelight
import safelight.cli
from safelight.errors import SafelightError, TransientError

SET_ASIDE: Final = 1
WRONG_USE: Final = 2
TRY_AGAIN: Final = 3
MODULES: Final = sorted(
    info.name
    for info in pkgutil.iter_modules(safelight.cli.__path__)
    if info.name != "main" and not info.name.startswith("_")
)


class _Commands(click.Group):
    """Finds a command in the module of its name, and imports no other: ``--help`` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return MODULES

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in MODULES:
            return None
        command = importlib.import_module(f"safelight.cli.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SafelightError as error:
            # The message is written for a person and carries no identifier; a traceback would help nobody here.
            click.echo(f"safelight: {error}", err=True)
            sys.exit(TRY_AGAIN if isinstance(error, TransientError) else WRONG_USE)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(safelight.__version__, prog_name="safelight")
def main() -> None:
    """Open a hospital's imaging archive to research without exposing a single patient.

    Exit status: 0 done; 1 something was set aside; 2 wrong use or configuration; 3 try again later.
    """

"""``safelight demo``: the whole pipeline over a synthetic hospital.

Needs the checkout, since flows and the demo hospital are not in the wheel.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from safelight.errors import ConfigurationError


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run the whole pipeline over a synthetic hospital, on this machine alone."""
    checkout = next(
        (path for path in (Path.cwd(), *Path(__file__).parents) if (path / "deployments" / "demo.py").is_file()), None
    )
    if checkout is None:
        raise ConfigurationError(
            "The demo needs Safelight's checkout.", remedy="Change to its folder, where the Makefile is, and type it again."
        )
    sys.exit(subprocess.run([sys.executable, "-m", "deployments.demo", *arguments], cwd=checkout, check=False).returncode)

"""Every command is found, explains itself and starts quickly."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import safelight
import safelight.cli
from safelight.cli.main import WRONG_USE, main

MODULES = sorted(
    info.name
    for info in pkgutil.iter_modules(safelight.cli.__path__)
    if info.name != "main" and not info.name.startswith("_")
)


def _commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, name
            yield from _commands(found, (*words, name))


ALL = sorted(_commands(main))


def test_there_are_commands() -> None:
    assert {"cohort", "demo", "dicom", "project", "reports", "trace", "cache"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_a_command_that_says_what_it_does(module: str) -> None:
    command = importlib.import_module(f"safelight.cli.{module}").command
    assert isinstance(command, click.Command)
    assert command.help


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(main, ["--help"])
    assert shown.exit_code == 0
    listed = {line.split()[0] for line in shown.output.partition("Commands:")[2].splitlines() if line.strip()}
    assert listed == set(MODULES)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_and_option_is_explained(words: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    shown = CliRunner().invoke(main, [*words, "--help"], prog_name="safelight")
    assert shown.exit_code == 0
    # The demo hands its words on to a program of the checkout, which answers by itself.
    output = shown.output + capfd.readouterr().out
    assert f"usage: safelight {' '.join(words)}".rstrip() in output.replace("Usage:", "usage:")
    command: click.Command = main
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    assert command.help
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help and not option.hidden] == []


def test_an_unknown_command_is_wrong_use() -> None:
    assert CliRunner().invoke(main, ["no-such-command"]).exit_code == WRONG_USE


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"safelight, version {safelight.__version__}\n"


def test_the_installed_command_answers_without_loading_what_it_does_not_need() -> None:
    program = Path(sys.executable).parent / "safelight"
    shown = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True, cwd=program.parent)
    assert shown.stdout.startswith("safelight, version ")
    heavy = "import sys, safelight.cli.main; print({'spacy', 'prefect', 'pandas', 'deltalake'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "set()"

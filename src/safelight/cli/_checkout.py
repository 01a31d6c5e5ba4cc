"""Where the checkout's profiles are, for commands that take a name."""

from __future__ import annotations

from pathlib import Path

from safelight.errors import ConfigurationError


def profiles_folder(given: Path | None = None) -> Path:
    """Return the folder given, or the nearest ``profiles`` around the working directory or this package.

    Raises:
        ConfigurationError: there is none.
    """
    if given is not None:
        return given
    for place in (Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents):
        if (place / "profiles" / "projects").is_dir():
            return place / "profiles"
    raise ConfigurationError(
        "No profiles folder was found.", remedy="Change to Safelight's checkout, or give --profiles FOLDER."
    )

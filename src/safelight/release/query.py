"""DuckDB with the Delta extension that a PyPI package ships, so that nothing is fetched at run time."""

from __future__ import annotations

from importlib.resources import as_file, files

import duckdb

from safelight.errors import ConfigurationError


def connect() -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB that reads Delta tables: ``SELECT ... FROM delta_scan('<lake>/<project>/<table>')``.

    Raises:
        ConfigurationError: the extension's package is not of this DuckDB's version.
    """
    name = "delta.duckdb_extension"
    found = files("duckdb_extension_delta") / "extensions" / f"v{duckdb.__version__}" / name
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    try:
        with as_file(found) as path:
            connection.load_extension(str(path))
    except (duckdb.Error, OSError):
        connection.close()
        raise ConfigurationError(
            "DuckDB's Delta extension can't be loaded.",
            remedy="Install duckdb and duckdb-extension-delta of one version: 'make setup'.",
        ) from None
    return connection

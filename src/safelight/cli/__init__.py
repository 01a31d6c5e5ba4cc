"""The command line: one module a command, each with a ``command`` that :mod:`safelight.cli.main` finds by itself."""

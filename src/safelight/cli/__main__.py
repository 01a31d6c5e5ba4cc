"""``python -m safelight.cli``: the same as ``safelight``."""

from safelight.cli.main import main

main(prog_name="safelight")

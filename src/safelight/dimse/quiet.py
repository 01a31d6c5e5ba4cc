"""Keeps libraries that meet an archive's values from talking: their log lines and warnings quote what they find odd."""

from __future__ import annotations

import logging
import re
import warnings


def silence(library: str) -> None:
    """Let nothing that a library says, in any of its modules, reach a log or a terminal.

    For the whole process and for good: what is switched off and on again around a call speaks in other threads.
    """
    logger = logging.getLogger(library)
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    # Setting a filter a second time takes it away for a moment.
    if ("ignore", None, UserWarning, re.compile(rf"{library}\b"), 0) not in warnings.filters:
        warnings.filterwarnings("ignore", category=UserWarning, module=rf"{library}\b")

"""Alembic's environment; run by :mod:`safelight.link.migration`."""

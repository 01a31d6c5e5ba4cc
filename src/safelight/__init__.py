"""Safelight: take imaging studies out of the archive, remove what identifies people, link, deliver, prove.

The domain. Nothing in here imports Prefect or reads the environment: clocks, keys and clients are arguments.
"""

__version__ = "0.1.0"

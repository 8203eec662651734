"""Bash functions that are inlined into remote commands. They only define functions."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def read(name: str) -> str:
    """Return the text of ``<name>.sh`` in this folder."""
    return files(__name__).joinpath(f"{name}.sh").read_text("utf-8")

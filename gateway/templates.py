"""Where the batch script's template, its bash libraries and the shipped cases are."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent

PULLER = (
    "pull_base.sh",
    "pull_lock.sh",
    "pull_cache.sh",
    "pull_uses.sh",
    "pull_pieces.sh",
    "pull_ranges.sh",
    "pull_fetch.sh",
    "pull_unpack.sh",
    "pull.sh",
)
"""The parts of the image pull, in order."""


@cache
def folder() -> Path:
    """Return the folder ``job_templates``: inside the package when installed, beside it in a checkout."""
    packaged = _HERE / "job_templates"
    return packaged if packaged.is_dir() else _HERE.parent / "job_templates"


@cache
def library(name: str) -> str:
    """Return the text of ``lib/<name>``."""
    return (folder() / "lib" / name).read_text(encoding="utf-8")


@cache
def puller() -> str:
    """Return the image pull as one file: a program, and a library for those who source it."""
    return "\n".join(library(name) for name in PULLER)

"""Where the batch script's template, its bash libraries and the shipped cases are."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent


@cache
def folder() -> Path:
    """Return the folder ``job_templates``: inside the package when installed, beside it in a checkout."""
    packaged = _HERE / "job_templates"
    return packaged if packaged.is_dir() else _HERE.parent / "job_templates"


@cache
def library(name: str) -> str:
    """Return the text of ``lib/<name>``."""
    return (folder() / "lib" / name).read_text(encoding="utf-8")

"""Databases for tests that open many gateways: brought up to date once, copied for each."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from gateway.db.database import Database


@cache
def _up_to_date() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    database = Database(f"sqlite:///{folder.name}/gateway.db")
    database.migrate()
    database.close()
    return folder


def lay_database(data: Path) -> None:
    """Put an empty database into a data folder, as a gateway would make it at its first start."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (data / "gateway.db").exists():
        shutil.copy(Path(_up_to_date().name, "gateway.db"), data / "gateway.db")

"""Updates of one row by its key: each made once, since making one costs more than carrying it out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table, Update, bindparam, update


def set_row(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Write plain values into the row of `table` that `key` names; its version, where it has one, grows by one."""
    asked = {f"of_{name}": value for name, value in key.items()}
    written = {f"to_{name}": value for name, value in values.items()}
    connection.execute(_statement(table, tuple(key), tuple(values)), {**asked, **written})


@lru_cache(1024)
def _statement(table: Table, key: tuple[str, ...], names: tuple[str, ...]) -> Update:
    columns: dict[str, Any] = {name: bindparam(f"to_{name}") for name in names}
    if "version" in table.c:
        columns["version"] = table.c.version + 1
    return update(table).where(*(table.c[name] == bindparam(f"of_{name}") for name in key)).values(**columns)

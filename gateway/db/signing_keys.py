"""The public keys of the gateway processes that signed, or sign, manifests for this database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, insert, select

from gateway.db.jobs import now
from gateway.db.tables import signing_keys


def add(connection: Connection, key: str) -> None:
    """Believe what this key signs, from now on and for ever."""
    known = connection.execute(select(signing_keys.c.key).where(signing_keys.c.key == key)).first()
    if known is None:
        connection.execute(insert(signing_keys).values(key=key, added_at=now()))


def known(connection: Connection) -> Sequence[RowMapping]:
    """Return all keys, the first one first."""
    query = select(signing_keys).order_by(signing_keys.c.added_at, signing_keys.c.key)
    return connection.execute(query).mappings().all()

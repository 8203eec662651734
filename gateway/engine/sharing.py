"""Which stores more than one person uses: nobody's node may get credentials there that open another's outputs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping

from gateway.db import people
from gateway.db.database import Database
from gateway.people.access import people_of_store
from gateway.settings import Settings


async def shared_stores(
    database: Database, settings: Settings, rows: Sequence[RowMapping]
) -> dict[str, frozenset[str]]:
    """Return, by the ids of jobs, those of their stores that others than their owners use too."""
    owners = {row["owner"] for row in rows}
    others = await database.read(lambda c: {owner: people.count_enabled(c, owner) for owner in owners})
    alone = {owner for owner in owners if not others[owner] and not owner_is_guest(settings, owner)}
    return {row["id"]: frozenset() if row["owner"] in alone else _shared(settings, row) for row in rows}


def _shared(settings: Settings, row: RowMapping) -> frozenset[str]:
    mine = frozenset({row["owner"]})
    return frozenset(name for name in row["stores"] if people_of_store(settings, name) != mine)


def owner_is_guest(settings: Settings, owner: str) -> bool:
    """Say whether accounts are configured for people besides `owner`, who may be stored later."""
    return any(person != owner for section in settings.targets.values() for person in section.accounts)

"""Which stores more than one person uses: nobody's node may get credentials there that open another's outputs."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.db import people
from gateway.db.database import Database
from gateway.people.access import people_of_store
from gateway.settings import Settings


async def shared_stores(database: Database, settings: Settings, stores: Iterable[str], owner: str) -> frozenset[str]:
    """Return those of `stores` that others use too.

    Parameters
    ----------
    owner
        Whose job it is.
    """
    others = await database.read(lambda c: people.count_enabled(c, owner)) or owner_is_guest(settings, owner)
    if not others:
        return frozenset()
    return frozenset(name for name in stores if people_of_store(settings, name) != frozenset({owner}))


def owner_is_guest(settings: Settings, owner: str) -> bool:
    """Say whether accounts are configured for people besides `owner`, who may be stored later."""
    return any(person != owner for section in settings.targets.values() for person in section.accounts)

"""The public keys whose signatures are believed: of this database's processes, and those the configuration names."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.db import signing_keys
from gateway.db.database import Database
from gateway.model.verification import SigningKey, SigningKeys


class SigningKeyRing:
    """All known keys.

    Parameters
    ----------
    trusted
        Further keys, of gateways with other databases.
    """

    def __init__(self, database: Database, trusted: Sequence[str] = ()) -> None:
        self.database = database
        self.trusted = tuple(trusted)

    async def publish(self, key: str) -> None:
        """Add the key that this process signs with."""
        if key not in [row["key"] for row in await self.database.read(signing_keys.known)]:
            await self.database.write(lambda c: signing_keys.add(c, key))

    async def known(self) -> list[str]:
        """Return all keys."""
        return [item.key for item in (await self.list()).items]

    async def list(self) -> SigningKeys:
        """Return all keys with where they are from."""
        rows = await self.database.read(signing_keys.known)
        own = [SigningKey(key=row["key"], origin="gateway", added_at=row["added_at"]) for row in rows]
        known = {item.key for item in own}
        others = [SigningKey(key=key, origin="trusted") for key in self.trusted if key not in known]
        return SigningKeys(items=[*own, *others])

"""What people can ask about cases, for the routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.cases.case import Case, thumbnail_of
from gateway.cases.catalogue import Catalogue
from gateway.cases.images import BuiltImages, CaseImages
from gateway.cases.showing import info_of, summary_of
from gateway.cases.values import complete
from gateway.db import cases as table
from gateway.db.database import Database
from gateway.errors import FieldError, InvalidRequest, NotFound, PreconditionFailed
from gateway.model.case import CaseBuild, CaseInfo, CasePage, ValueSet, ValueSetPage

MAX_SETS = 500
"""Sets of values that one person keeps for one case."""
MAX_SET_BYTES = 1024 * 1024


class CaseService:
    """Cases, for everybody; sets of values, by their owner."""

    def __init__(self, database: Database, catalogue: Catalogue, built: BuiltImages) -> None:
        self.database = database
        self.catalogue = catalogue
        self.images = CaseImages(catalogue, built)

    async def list(self) -> CasePage:
        """Return all cases."""

        def read() -> CasePage:
            return CasePage(items=[summary_of(case, self.images.state(case)) for case in self.catalogue.all()])

        return await asyncio.to_thread(read)

    async def get(self, name: str, version: str | None = None) -> CaseInfo:
        """Return a case; raises `NotFound`."""

        def read() -> CaseInfo:
            case = self.catalogue.find(name, version)
            return info_of(case, self.images.state(case))

        return await asyncio.to_thread(read)

    async def thumbnail(self, name: str, version: str | None = None) -> tuple[str, str, bytes]:
        """Return version, content type and bytes of a case's picture; raises `NotFound`."""
        case = await self._find(name, version)
        found = thumbnail_of(case)
        if found is None:
            raise NotFound(f"the case {case.name} has no picture")
        return (case.version, *found)

    async def check(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return complete values; raises `InvalidRequest`, which names each parameter, or `NotFound`."""

        def check() -> dict[str, Any]:
            case = self.catalogue.find(name)
            return complete(case.definition, values)

        return await asyncio.to_thread(check)

    async def begin_build(self, name: str) -> CaseBuild:
        """Begin to build a case's image; raises `NotFound`, `ImageError`."""
        case = await self._find(name)
        recipe = await asyncio.to_thread(self.catalogue.recipe, case)
        return self.images.begin_build(case, recipe)

    async def _find(self, name: str, version: str | None = None) -> Case:
        return await asyncio.to_thread(self.catalogue.find, name, version)

    # --- Sets of values

    async def list_sets(self, name: str, owner: str) -> ValueSetPage:
        """Return the sets that a person keeps for a case."""
        case = await self._find(name)
        rows = await self.database.read(lambda c: table.list_sets(c, owner, case.name))
        return ValueSetPage(items=[_set_of(row) for row in rows])

    async def get_set(self, name: str, owner: str, set_name: str) -> ValueSet:
        """Return one set; raises `NotFound`."""
        case = await self._find(name)
        row = await self.database.read(lambda c: table.get_set(c, owner, case.name, set_name))
        if row is None:
            raise _no_set(set_name)
        return _set_of(row)

    async def put_set(
        self, name: str, owner: str, set_name: str, values: Mapping[str, Any], condition: Condition
    ) -> ValueSet:
        """Keep a set, new or in place of the old.

        Raises
        ------
        InvalidRequest
            A value is not one that its parameter can have, or there are too many sets.
        PreconditionFailed
        """
        case = await self._find(name)
        checked = await asyncio.to_thread(complete, case.definition, values, partial=True)
        if len(json.dumps(checked)) > MAX_SET_BYTES:
            raise InvalidRequest([FieldError("#/values", f"must have at most {MAX_SET_BYTES} bytes")])

        def put(connection: Connection) -> RowMapping:
            before = table.get_set(connection, owner, case.name, set_name)
            condition.check(before)
            if before is None and table.count_sets(connection, owner, case.name) >= MAX_SETS:
                raise InvalidRequest([FieldError("#", f"there are {MAX_SETS} sets already: delete some")])
            return table.put_set(connection, owner, case.name, set_name, checked)

        return _set_of(await self.database.write(put))

    async def delete_set(self, name: str, owner: str, set_name: str, condition: Condition) -> None:
        """Forget a set; raises `NotFound`, `PreconditionFailed`."""

        def forget(connection: Connection) -> None:
            before = table.get_set(connection, owner, name, set_name)
            if before is None:
                raise _no_set(set_name)
            condition.check(before)
            table.delete_set(connection, owner, name, set_name)

        await self.database.write(forget)


class Condition:
    """What ``If-Match`` and ``If-None-Match`` ask of the set that is there.

    Parameters
    ----------
    version
        The set must have it; None for any.
    exists
        True: there must be one; False: there must be none; None: either.
    """

    def __init__(self, version: int | None = None, exists: bool | None = None) -> None:
        self.version = version
        self.exists = exists

    def check(self, row: RowMapping | None) -> None:
        """Raise `PreconditionFailed` where the row is not as asked."""
        if self.exists is not None and self.exists != (row is not None):
            raise PreconditionFailed("there is no such set of values" if self.exists else "the set is there already")
        if self.version is not None and (row is None or row["version"] != self.version):
            now = f"it has version {row['version']} now" if row is not None else "there is no such set of values"
            raise PreconditionFailed(f"{now}, not {self.version}" if row is not None else now)


def _set_of(row: RowMapping) -> ValueSet:
    return ValueSet(**{name: row[name] for name in ValueSet.model_fields})


def _no_set(name: str) -> NotFound:
    return NotFound(f"there is no set of values {name[:64]!a} for this case")

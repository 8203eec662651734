"""Says of each stored object whose it is: content type, job, case, owner and digest, a few objects at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import RowMapping

from gateway.db.outputs import OutputRow
from gateway.storage.stores.base import Place, Store, StoredObject

AT_ONCE = 16


def metadata_of(job: RowMapping, output: OutputRow) -> dict[str, str]:
    """Return the metadata of one object."""
    found = {"job": job["id"], "owner": job["owner"]}
    if job["case"]:
        found["case"] = job["case"]
    if output.digest:
        found["sha256"] = output.digest.removeprefix("sha256:")
    return found


async def annotate_all(
    store: Store,
    place: Place,
    job: RowMapping,
    rows: Sequence[OutputRow],
    stored: Mapping[str, StoredObject],
) -> None:
    """Annotate objects. What a store was told while they were uploaded is not sent again.

    Parameters
    ----------
    stored
        What the store's listing said of them a moment ago, by path.

    Raises
    ------
    StoreError, NotFound
    """
    waiting = iter(rows)

    async def work(mine: Iterator[OutputRow]) -> None:
        for output in mine:
            known = stored.get(output.path)
            await store.annotate(place, output.path, output.content_type, metadata_of(job, output), known)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(rows))):
                group.create_task(work(waiting))
    except ExceptionGroup as problems:
        raise problems.exceptions[0] from None

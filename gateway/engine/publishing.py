"""Publishes images that somebody, or the schedule, asked for: some at a time, each by one process of the database.

A process holds an image for ten minutes and says again and again that it is there; one that died is replaced. What it
leaves is found by the next one's look.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.db import image_publications as table
from gateway.db import images as catalogue
from gateway.db.jobs import now
from gateway.db.tenure import clock
from gateway.errors import GatewayError, LeaseLost
from gateway.images.entry import ImageEntry
from gateway.images.publishing import BELL, ImagePublishing, load
from gateway.jobs.bell import Bell
from gateway.storage import lifeline

log = logging.getLogger(__name__)

HELD_FOR = 600.0
"""Seconds after which a process that says nothing counts as dead."""
KEPT_EVERY = 60.0
AGAIN = (60.0, 600.0, 3600.0, 6 * 3600.0)
"""Seconds until something that failed is tried again; after the last one somebody, or the schedule, must ask."""
INTERVAL = 60.0
"""Seconds between looks for what other processes were asked for."""


class PublishingLoop:
    """Works at images, `at_once` of them at the same time."""

    def __init__(self, publishing: ImagePublishing, bell: Bell) -> None:
        self.publishing = publishing
        self.database = publishing.database
        self.bell = bell
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Go on until cancelled; what was begun is left to whoever comes next."""
        if not self.publishing.mirrors:
            return
        cleared = False
        try:
            while True:
                try:
                    if not cleared:
                        await self._clear()
                        cleared = True
                    if (begun := await self.publishing.begin_scheduled()) is not None:
                        log.info("image publishing: %d publications are looked at", begun.publications)
                    while len(self._running) < self.publishing.settings.at_once and await self._start_one():
                        pass
                except Exception as error:
                    log.warning("image publishing: %s", error, exc_info=not isinstance(error, GatewayError))
                await self.bell.wait(BELL, INTERVAL)
        finally:
            await self._stop()

    async def do_one(self) -> bool:
        """Work at the image that waits longest, to its end; return False where none waits."""
        taken = await self._take()
        if taken is None:
            return False
        await self._work(*taken)
        return True

    async def _clear(self) -> None:
        """Remove copies of images that nobody waits for any more."""
        open_rows = await self.database.read(
            lambda c: table.page(c, states=("wanted", "working", "failed"), limit=100_000)
        )
        wanted = frozenset(row["digest"] for row in open_rows if row["digest"])
        await asyncio.to_thread(self.publishing.copies.forget, wanted)

    async def _stop(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await asyncio.shield(self.database.write(lambda c: table.let_go(c, self.database.name)))

    async def _start_one(self) -> bool:
        taken = await self._take()
        if taken is None:
            return False
        image_id = taken[0]
        task = asyncio.create_task(self._work(*taken), name=f"publish image {image_id}")
        self._running[image_id] = task
        task.add_done_callback(lambda _: self._ended(image_id))
        return True

    def _ended(self, image_id: str) -> None:
        self._running.pop(image_id, None)
        self.bell.ring_here(BELL)

    async def _take(self) -> tuple[str, list[str], float] | None:
        mirrors, running = list(self.publishing.mirrors), list(self._running)
        until, at = clock() + HELD_FOR, now()
        found = await self.database.write(
            lambda c: table.take(
                c,
                self.database.name,
                mirrors,
                at,
                at + timedelta(seconds=HELD_FOR),
                alone=self.database.is_sqlite,
                but=running,
            )
        )
        return None if found is None else (*found, until)

    # --- one image

    async def _work(self, image_id: str, mirrors: list[str], until: float) -> None:
        """Publish one image to those mirrors; whatever happens to it stands in its rows."""
        tenure = _Tenure(until)
        lifeline.allowance.set(lambda: tenure.until - clock())
        work = asyncio.create_task(self._publish(image_id, mirrors), name=f"publishing {image_id}")
        keeper = asyncio.create_task(self._keep(image_id, tenure, work), name=f"holding {image_id}")
        try:
            await asyncio.wait([work])
        finally:
            work.cancel()
            keeper.cancel()
            await asyncio.gather(work, keeper, return_exceptions=True)
        if work.cancelled():
            return
        if isinstance(error := work.exception(), LeaseLost):
            log.warning("image publishing: %s", error)
        elif error is not None:
            known = isinstance(error, GatewayError)
            log.error("image %s could not be published: %s", image_id, error, exc_info=None if known else error)
            words = str(error) if known else "it failed unexpectedly; the gateway's log says more"
            await self._put_off(image_id, dict.fromkeys(mirrors, words))

    async def _keep(self, image_id: str, tenure: _Tenure, work: asyncio.Task[None]) -> None:
        """Say that this process is there; end the work where another one has it, or nothing can be said any more."""
        while True:
            await asyncio.sleep(KEPT_EVERY)
            asked = clock()
            try:
                kept = await self.database.write_beside(partial(self._still_mine, image_id))
            except GatewayError as error:
                log.warning("image publishing: %s", error)
                kept = clock() < tenure.until - KEPT_EVERY
                asked = tenure.until - HELD_FOR
            if not kept:
                work.cancel()
                return
            tenure.until = asked + HELD_FOR

    def _still_mine(self, image_id: str, connection: Connection) -> bool:
        return table.keep(connection, self.database.name, image_id, now() + timedelta(seconds=HELD_FOR))

    async def _publish(self, image_id: str, mirrors: list[str]) -> None:
        entry, known = await self.database.read(lambda c: load(c, image_id))
        if entry is None:
            return
        if entry.digest is None or entry.size is None:
            entry = await self._measured(entry, mirrors)
            _, known = await self.database.read(lambda c: load(c, entry.id))

        async def note(mirror: str, **values: Any) -> None:
            await self.database.write(lambda c: self._note(c, entry, mirror, values))

        problems = await self.publishing.publisher.publish(entry, mirrors, known, note)
        await self._put_off(image_id, problems)

    async def _measured(self, entry: ImageEntry, mirrors: list[str]) -> ImageEntry:
        """Return the image with its digest; what it became one with is published in its place."""
        found = await self.publishing.measured(entry)
        if found.id != entry.id:
            await self.database.write(lambda c: table.want(c, [found.id], mirrors, "automatic", now()))
            raise LeaseLost(f"{entry.name} is the same file as another image, which is published instead")
        return found

    def _note(self, connection: Connection, entry: ImageEntry, mirror: str, values: Mapping[str, Any]) -> None:
        at, row = now(), table.of_image(connection, entry.id).get(mirror)
        if row is None or row["holder"] != self.database.name:
            raise LeaseLost(f"another gateway process publishes the image {entry.name} now")
        changed = {**values, "updated_at": at}
        if values.get("state") == "published":
            changed |= {"holder": None, "held_until": None, "tries": 0, "published_at": row["published_at"] or at}
            self._add_mirror(connection, entry, mirror, row)
        table.write(connection, self.database.name, entry.id, mirror, **changed)

    def _add_mirror(self, connection: Connection, entry: ImageEntry, mirror: str, row: RowMapping) -> None:
        """Let jobs read the image from there too."""
        region = self.publishing.mirrors[mirror].settings.region
        there = [(item["url"], item["region"]) for item in catalogue.mirrors_of(connection, [entry.id])[entry.id]]
        if row["url"] not in (url for url, _ in there):
            catalogue.set_mirrors(connection, entry.id, [*there, (row["url"], region)])
        catalogue.note_mirror(connection, entry.id, row["url"], state="alive", problem=None)

    async def _put_off(self, image_id: str, problems: Mapping[str, str]) -> None:
        """Write down what failed, and when it is tried again."""

        def write(connection: Connection) -> None:
            at, found = now(), table.of_image(connection, image_id)
            for mirror, problem in problems.items():
                row = found.get(mirror)
                if row is None or row["holder"] != self.database.name:
                    continue
                pause = AGAIN[row["tries"]] if row["tries"] < len(AGAIN) else None
                again = None if pause is None else at + timedelta(seconds=pause)
                values = {"state": "failed", "problem": problem[:2000], "tries": row["tries"] + 1, "updated_at": at}
                table.write(
                    connection,
                    self.database.name,
                    image_id,
                    mirror,
                    **values,
                    held_until=again,
                    checked_at=at,
                    holder=None,
                )

        if problems:
            await self.database.write(write)


class _Tenure:
    """Until when this process may work at an image, by its own clock."""

    def __init__(self, until: float) -> None:
        self.until = until

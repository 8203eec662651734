"""Running again what a crate holds: what would be done, and doing it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from gateway.cases.requests import CaseRequests
from gateway.crates.reading import MAX_METADATA, MAX_RUN, read_kept, read_metadata, read_run
from gateway.crates.record import MAX_FILES
from gateway.crates.source import CrateSource, FolderSource, ZipSource, parts_of
from gateway.db import uploads as upload_table
from gateway.db.database import Database
from gateway.errors import CrateError, InvalidRequest, NotFound
from gateway.jobs.crate_requests import Made, make_request
from gateway.jobs.intake import Intake
from gateway.jobs.upload_files import check_room
from gateway.jobs.uploads import Announced, UploadService
from gateway.model.crate import MAX_KEPT_INPUT, METADATA_FILE, RECORD_FOLDER, RUN_FILE, CrateOrder, CratePlan, RunRecord
from gateway.model.job import Job

MAX_CRATE = 4 * 1024**3
"""Bytes of a crate that is fetched."""
TIMEOUT = 900.0
LEFT_AFTER = 86400.0
"""Seconds after which a folder is one that nobody reads any more."""
_ZIP = b"PK"


class CrateRuns:
    """Runs what crates hold.

    Parameters
    ----------
    folder
        For crates that are being read.
    """

    def __init__(
        self,
        database: Database,
        intake: Intake,
        uploads: UploadService,
        folder: Path,
    ) -> None:
        self.database = database
        self.acceptance = intake.acceptance
        self.intake = intake
        self.uploads = uploads
        self._opener = intake.acceptance.urls
        self._folder = folder
        self._turn = asyncio.Semaphore(2)

    async def plan(self, order: CrateOrder, owner: str) -> CratePlan:
        """Return what would be done; nothing is stored.

        Raises
        ------
        CrateError
            The crate cannot be read.
        UrlError
        """
        async with self._opened(order) as (run, source):
            plan = await self._plan(run, order, owner)
            held = [item for item in plan.needed if source is None or item.kept is None]
            return plan.model_copy(update={"needed": held})

    async def run(self, order: CrateOrder, owner: str, key: str | None = None) -> Job:
        """Submit a job that runs the same again.

        Raises
        ------
        CrateError
            The crate cannot be read, or it does not hold what is needed; says what.
        InvalidRequest
            It cannot be carried out here.
        UrlError
        """
        async with self._opened(order) as (run, source):
            plan = await self._plan(run, order, owner)
            if source is not None:
                await self._bring(plan, source, owner)
                plan = await self._plan(run, order, owner)
            wrong = [*plan.missing, *(f"the input {item.path!a} ({item.digest}) is missing" for item in plan.needed)]
            if wrong:
                raise CrateError("; ".join(wrong)[:2000], hint="the plan of the crate says what is needed")
        return await self.intake.submit(plan.request, owner, key)

    async def _plan(self, run: RunRecord, order: CrateOrder, owner: str) -> CratePlan:
        digests = [item.digest for item in run.inputs if item.digest is not None]
        uploaded = await self.database.read(lambda c: upload_table.complete_digests(c, owner, digests))
        return await asyncio.to_thread(self._work_out, run, order, owner, uploaded)

    def _work_out(self, run: RunRecord, order: CrateOrder, owner: str, uploaded: set[str]) -> CratePlan:
        """Work a plan out. Blocking."""
        by_case, missing, notes = _case_here(self.acceptance.cases, run, any_image=order.any_image)
        made = make_request(run, order, uploaded, by_case=by_case)
        made.missing[:0] = missing
        made.notes[:0] = notes
        target = self._check(made, owner) if not made.missing else None
        return CratePlan(
            how="case" if by_case else "specification",
            run=run,
            target=target,
            needed=list(made.needed.values()),
            missing=made.missing,
            notes=made.notes,
            request=made.request,
        )

    def _check(self, made: Made, owner: str) -> str | None:
        """Say where it would run; what keeps it from that is added to what is missing."""
        try:
            return self.acceptance.for_person(owner).accept(made.request).target
        except InvalidRequest as error:
            wrong = [item for item in error.errors if not (made.needed and item.pointer.endswith(("/upload", "#")))]
            made.missing += [f"{item.pointer}: {item.detail}" for item in wrong]
            target = made.request.get("target") or self.acceptance.settings.default_target
            return target if isinstance(target, str) else None

    async def _bring(self, plan: CratePlan, source: CrateSource, owner: str) -> None:
        """Turn the files that the crate holds into uploads of a person."""
        kept = {item.digest: item for item in plan.run.inputs if item.kept is not None}
        for needed in plan.needed:
            item = kept.get(needed.digest)
            if item is None:
                continue
            data = await asyncio.to_thread(read_kept, source, item)
            await self.uploads.create(owner, Announced(needed.digest, len(data)), _one(data))

    # --- Crates by URL

    @asynccontextmanager
    async def _opened(self, order: CrateOrder) -> AsyncIterator[tuple[RunRecord, CrateSource | None]]:
        """Yield what was run, and where the crate's files are; None where only its sender has them."""
        if order.url is None:
            assert order.run is not None
            yield order.run, None
            return
        place = self._folder / secrets.token_hex(8)
        async with self._turn:
            try:
                await asyncio.to_thread(self._make_room, place)
                source = await self._fetch(order.url, place)
                try:
                    run = await asyncio.to_thread(read_run, source)
                    if isinstance(source, FolderSource):
                        await self._fetch_inputs(order.url, run, place)
                    yield run, source
                finally:
                    source.close()
            finally:
                await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)

    def _make_room(self, place: Path) -> None:
        """Make a folder for a crate, and remove those that a process left when it was killed. Blocking."""
        place.mkdir(mode=0o700, parents=True)
        check_room(place, 0)
        before = time.time() - LEFT_AFTER
        for folder in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if folder.stat().st_mtime < before:
                    shutil.rmtree(folder)

    async def _fetch(self, url: str, place: Path) -> CrateSource:
        """Fetch a crate: a zip file, or its metadata file and what stands beside it."""
        file = place / "crate"
        await self._opener.fetch(url, file, max_bytes=MAX_CRATE, timeout=TIMEOUT)
        with file.open("rb") as stream:
            is_zip = stream.read(2) == _ZIP
        if is_zip:
            return await asyncio.to_thread(ZipSource, file)
        if file.stat().st_size > MAX_METADATA:
            raise CrateError("the file is neither a zip file nor the metadata of a crate")
        read_metadata(await asyncio.to_thread(file.read_bytes))
        folder = place / "files"
        (folder / RECORD_FOLDER).mkdir(parents=True)
        file.replace(folder / METADATA_FILE)
        await self._opener.fetch(_beside(url, RUN_FILE), folder / RUN_FILE, max_bytes=MAX_RUN, timeout=TIMEOUT)
        return FolderSource(folder)

    async def _fetch_inputs(self, url: str, run: RunRecord, place: Path) -> None:
        """Fetch the inputs that a crate in a folder of the web has."""
        wanted = [item for item in run.inputs if item.kept is not None and item.source != "content"]
        if len(wanted) > MAX_FILES:
            raise CrateError(f"the crate has {len(wanted)} inputs beside it, and {MAX_FILES} are allowed")
        for item in wanted:
            assert item.kept is not None
            file = place.joinpath("files", *parts_of(item.kept))
            file.parent.mkdir(parents=True, exist_ok=True)
            address = _beside(url, item.kept)
            await self._opener.fetch(address, file, digest=item.digest, max_bytes=MAX_KEPT_INPUT, timeout=TIMEOUT)


def _beside(url: str, path: str) -> str:
    """Return the address of a file of the crate whose metadata file is at `url`."""
    up = "../" if urlsplit(url).path.endswith(f"/{RECORD_FOLDER}/{METADATA_FILE}") else ""
    return urljoin(url, up + quote(path))


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _case_here(cases: CaseRequests | None, run: RunRecord, *, any_image: bool) -> tuple[bool, list[str], list[str]]:
    """Say whether the same version of the case can be asked for; and what is missing, and what is to be said."""
    if cases is None or run.case is None or run.case_version is None:
        return False, [], []
    try:
        case = cases.catalogue.find(run.case, run.case_version)
    except NotFound:
        return False, [], [f"the case {run.case} is not here in that version: what it made of the values is run"]
    try:
        image = cases.images.specification(case)
    except InvalidRequest as error:
        return True, [item.detail for item in error.errors], []
    wanted = run.image.digest if run.image is not None else None
    if image.get("digest") == wanted and wanted is not None:
        return True, [], []
    if any_image:
        return True, [], [f"the image is another build: {image.get('digest')}, and it was {wanted}"]
    if run.image is not None and run.image.ref.startswith("built:"):
        said = f"the image here is another build: {image.get('digest')}, and it was {wanted}; any_image allows that"
        return True, [said], []
    return (
        False,
        [],
        ["the case has another image here: what was carried out is run, in the image of the crate"],
    )

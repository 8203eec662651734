"""One verification on its way: what is expected, what the store lists, and what its bytes are."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gateway.db import outputs as catalogue
from gateway.db import verifications
from gateway.db.database import Database
from gateway.errors import GatewayError, NotFound
from gateway.jobs.retention import removals
from gateway.jobs.views import Row
from gateway.model.states import OutputsState
from gateway.model.verification import WRONG, Result, Verdict
from gateway.storage.manifest import RESERVED
from gateway.storage.names import ESCAPE, comparable
from gateway.storage.signed_claim import MAX_SIGNED, Expected, SignedClaim, read_claim
from gateway.storage.signing import MANIFEST_PATH
from gateway.storage.stores.base import Place, Store, StoredObject

READ_AT_ONCE = 8
BATCH = 500
MOST_FINDINGS = 10_000
"""Files that are named; more are counted only."""
IN_THREAD = 64 * 1024
"""Pieces of more bytes are digested beside the event loop."""


LOST = "\N{REPLACEMENT CHARACTER}"
"""Stands for bytes of a name that are not UTF-8 in the listings of rclone."""


class Cancelled(Exception):
    """Somebody cancelled it, or another process does it now."""


@dataclass
class Report:
    """How far a verification is, and what it found."""

    SHOWN: ClassVar[tuple[str, ...]] = (
        *("signature", "key", "completeness", "files", "files_checked"),
        *("bytes", "bytes_checked", "kept", "retired", "counts", "problem"),
    )

    signature: str | None = None
    key: str | None = None
    completeness: str | None = None
    files: int = 0
    files_checked: int = 0
    bytes: int = 0
    bytes_checked: int = 0
    kept: int = 0
    retired: int = 0
    problem: str | None = None
    basis: str | None = None
    position: str | None = None
    listed: Counter[str] = field(default_factory=Counter)
    """Results that the listing alone gave; `read`: those that reading gave."""
    read: Counter[str] = field(default_factory=Counter)

    @property
    def counts(self) -> dict[str, int]:
        """How many files had each result."""
        return {name: number for name, number in sorted((self.listed + self.read).items()) if number}

    def as_json(self) -> dict[str, Any]:
        """Return what is kept of it."""
        return {**{name: getattr(self, name) for name in self.SHOWN}, "read": dict(self.read)}

    def go_on(self, old: Row) -> None:
        """Take over what an earlier try read."""
        kept = old["report"]
        self.position = old["position"]
        self.files_checked, self.bytes_checked = kept.get("files_checked", 0), kept.get("bytes_checked", 0)
        self.read = Counter(kept.get("read", {}))


@dataclass
class Work:
    """One verification.

    Attributes
    ----------
    row, chosen
        Of the job, and of its store.
    beat
        Ends when the verification is not this process's any more.
    """

    database: Database
    store: Store
    place: Place
    row: Mapping[str, Any]
    chosen: Mapping[str, Any]
    report: Report
    beat: asyncio.Task[None]
    _found: list[tuple[str, str, str]] = field(default_factory=list)
    _named: int = 0
    _other_names: dict[str, str] = field(default_factory=dict)
    """Names in the store that are written otherwise in the manifest, by those."""

    async def run(self, keys: Sequence[str], old: Row) -> Verdict:
        """Carry it out.

        Raises
        ------
        Cancelled
        GatewayError
            The store cannot be listed.
        """
        claim, basis = await self._claim(keys)
        expected = claim.files if claim is not None else await self._catalogued()
        sample = old["sample"]
        if old["basis"] == basis and old["position"] is not None:
            self.report.go_on(old)
        else:
            await self.database.write(lambda c: verifications.forget_findings(c, self.place.job_id, self.store.name))
        self.report.basis = basis
        there = await self._compare(expected, claim)
        wanted = there
        if sample is not None and sample < len(there):  # the same ones where it goes on, and nobody knows them before
            chance = random.Random(f"{basis} {old['started_at']}")  # noqa: S311
            wanted = sorted(chance.sample(there, sample))
        self.report.files = len(wanted)
        self.report.bytes = sum(expected[path].size for path in wanted)
        await self._read_again([path for path in wanted if path > (self.report.position or "")], expected)
        await self._flush()
        return self._verdict(claim, len(wanted) < len(there))

    # --- What is expected

    async def _claim(self, keys: Sequence[str]) -> tuple[SignedClaim | None, str]:
        """Return the signed manifest, None where it is not to be believed, and what names this basis."""
        try:
            pieces = [piece async for piece in self.store.read(self.place, MANIFEST_PATH, 0, MAX_SIGNED)]
        except NotFound:
            self.report.signature, self.report.problem = "missing", "the signed manifest is not in the store"
            return None, "catalogue"
        data = b"".join(pieces)
        try:
            claim = await asyncio.to_thread(read_claim, data, keys)
        except ValueError as error:
            self.report.signature, self.report.problem = "bad", str(error)
            return None, "catalogue"
        self.report.key, self.report.completeness = claim.key, claim.state
        if problem := self._stranger(claim):
            self.report.signature, self.report.problem = "wrong", problem
            return None, "catalogue"
        self.report.signature = "good"
        return claim, f"sha256:{hashlib.sha256(data).hexdigest()}"

    def _stranger(self, claim: SignedClaim) -> str | None:
        """Say why a manifest that is signed well is not the one of these outputs."""
        if claim.job != self.place.job_id:
            return f"the manifest is that of job {claim.job[:64]!a}"
        if claim.store != self.store.name:
            return f"the manifest is that of store {claim.store[:64]!a}"
        if claim.attempt != self.row["attempt"]:
            return f"the manifest is that of attempt {claim.attempt}, and {self.row['attempt']} was the last one"
        proved = (OutputsState.COMPLETE, OutputsState.RESCUED)
        if claim.state == OutputsState.PARTIAL and self.chosen["state"] in proved:
            return "the manifest is older than the one that was signed last"
        return None

    async def _catalogued(self) -> dict[str, Expected]:
        """Return what the catalogue has as final: the second best, where no manifest can be believed."""
        found: dict[str, Expected] = {}
        job_id, store, after = self.place.job_id, self.store.name, ""
        while True:
            rows = await self.database.read(
                lambda c, after=after: catalogue.files(c, job_id, store, after=after, limit=5000)  # type: ignore[misc]
            )
            for row in rows:
                if row["state"] == "final":
                    found[row["path"]] = Expected(row["size"], row["digest"])
            if len(rows) < 5000:
                return found
            after = rows[-1]["path"]

    # --- What the store lists

    async def _compare(self, expected: Mapping[str, Expected], claim: SignedClaim | None) -> list[str]:
        """Compare the store's listing; return the paths of what is there in its size, in order."""
        odd = {comparable(path): path for path in expected if ESCAPE in path or LOST in path}
        seen: set[str] = set()
        there: list[str] = []
        strangers: list[StoredObject] = []
        async for found in self.store.list(self.place):
            if found.path.split("/", 1)[0] == RESERVED:
                continue
            path = found.path if found.path in expected else odd.get(comparable(found.path))
            if path is None or path in seen:
                strangers.append(found)
                if len(strangers) >= BATCH:
                    await self._note_strangers(strangers, claim)
                    strangers = []
                continue
            seen.add(path)
            if path != found.path:
                self._other_names[path] = found.path
            if found.size == expected[path].size:
                there.append(path)
            else:
                await self._note_listed(path, *_of_size(found.size, expected[path].size))
        await self._note_strangers(strangers, claim)
        job_id, store = self.place.job_id, self.store.name
        gone = await self.database.read(lambda c: removals(c, job_id, store))
        for path in expected.keys() - seen:
            if gone.of(path) is not None:
                self.report.retired += 1
            else:
                await self._note_listed(path, Result.MISSING, "it is not in the store")
        await self._flush()
        return sorted(there)

    async def _note_strangers(self, strangers: Sequence[StoredObject], claim: SignedClaim | None) -> None:
        """Tell what the job wrote and removed later from what nobody knows."""
        paths = [found.path for found in strangers]
        job_id, store = self.place.job_id, self.store.name
        partial = await self.database.read(lambda c: catalogue.partial_paths(c, job_id, store, paths))
        for found in strangers:
            if claim is not None and found.path in claim.missing:
                continue
            if found.path in partial:
                self.report.kept += 1
            else:
                detail = f"no manifest names it; it has {found.size} bytes"
                await self._note_listed(found.path, Result.EXTRA, detail)

    # --- What the bytes are

    async def _read_again(self, paths: Sequence[str], expected: Mapping[str, Expected]) -> None:
        for start in range(0, len(paths), READ_AT_ONCE):
            if self.beat.done():
                raise Cancelled
            batch = paths[start : start + READ_AT_ONCE]
            results = await asyncio.gather(*(self._read_one(path, expected[path]) for path in batch))
            for path, (result, detail) in zip(batch, results, strict=True):
                self.report.read[result] += 1
                if result is not Result.OK:
                    await self._name(path, result, detail)
            if self._found:  # before the position behind them can be written
                await self._flush()
            self.report.files_checked += len(batch)
            self.report.position = batch[-1]

    async def _read_one(self, path: str, expected: Expected) -> tuple[Result, str]:
        if expected.digest is None:
            return Result.UNPROVED, "its digest was never known"
        digest, size = hashlib.sha256(), 0
        try:
            async for piece in self.store.read(self.place, self._other_names.get(path, path)):
                if len(piece) > IN_THREAD:
                    await asyncio.to_thread(digest.update, piece)
                else:
                    digest.update(piece)
                size += len(piece)
                self.report.bytes_checked += len(piece)
                if self.beat.done():
                    raise Cancelled
        except NotFound:
            return Result.MISSING, "it went while it was verified"
        except (GatewayError, OSError) as error:
            return Result.UNREADABLE, str(error)[:500]
        if size != expected.size:
            return _of_size(size, expected.size)
        found = f"sha256:{digest.hexdigest()}"
        if found != expected.digest:
            return Result.TAMPERED, f"its digest is {found}, and was {expected.digest}"
        return Result.OK, ""

    # --- What is told

    async def _note_listed(self, path: str, result: Result, detail: str) -> None:
        self.report.listed[result] += 1
        await self._name(path, result, detail)

    async def _name(self, path: str, result: Result, detail: str) -> None:
        self._named += 1
        if self._named <= MOST_FINDINGS:
            self._found.append((path, result, detail))
            if len(self._found) >= BATCH:
                await self._flush()

    async def _flush(self) -> None:
        found, self._found = self._found, []
        if found:
            job_id, store = self.place.job_id, self.store.name
            await self.database.write(lambda c: verifications.add_findings(c, job_id, store, found))

    def _verdict(self, claim: SignedClaim | None, sampled: bool) -> Verdict:
        results = self.report.counts
        if claim is None or any(results.get(result) for result in WRONG):
            return Verdict.FAILED
        if claim.state == OutputsState.PARTIAL:
            self.report.problem = f"the manifest itself names files as missing: {len(claim.missing)}"
            return Verdict.INCOMPLETE
        if results.get(Result.UNREADABLE) or results.get(Result.UNPROVED):
            return Verdict.INCOMPLETE
        return Verdict.SAMPLED if sampled else Verdict.VERIFIED


def _of_size(size: int, expected: int) -> tuple[Result, str]:
    result = Result.TRUNCATED if size < expected else Result.GROWN
    return result, f"it has {size} bytes, and had {expected}"

"""Folders in a store that the catalogue does not know: taken over where a known key signed what they are, else told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from gateway.db import jobs, people, reconciling
from gateway.db.database import Database
from gateway.errors import GatewayError, NotFound
from gateway.jobs.comparing import Comparison
from gateway.jobs.repairing import Repairs
from gateway.jobs.views import Row
from gateway.model.base import text_problem
from gateway.model.specification import JobSpecification
from gateway.model.states import ENDED, OutputsState, State
from gateway.model.verification import Repair
from gateway.storage.manifest import RESERVED
from gateway.storage.signed_claim import MAX_SIGNED, SignedClaim, read_claim
from gateway.storage.signing import MANIFEST_PATH
from gateway.storage.stores.base import Place, Store

_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
IMPORTED = "imported"
"""The target and the reason of jobs that only their folder tells of."""
UNKNOWN = "# What this job ran is not known: it was adopted from its folder in a store.\nexit 64\n"
"""Stands in its specification; its request has nothing to run, so that it cannot be run again by mistake."""
CRATE = f"{RESERVED}/ro-crate-metadata.json"


async def read_claim_at(store: Store, place: Place, keys: Sequence[str]) -> tuple[SignedClaim | None, str]:
    """Return what was signed of a place; else None, and why nothing counts."""
    try:
        pieces = [piece async for piece in store.read(place, MANIFEST_PATH, 0, MAX_SIGNED)]
        return read_claim(b"".join(pieces), keys), ""
    except NotFound:
        return None, "it has no signed manifest"
    except (GatewayError, ValueError) as error:
        return None, str(error)


class Adoption:
    """Takes over the unknown folders of a store.

    Parameters
    ----------
    admin
        Who asked: the owner of what no manifest gives to a person of this gateway.
    people
        The account that runs the gateway: a person who stands in no table.
    """

    def __init__(self, database: Database, repairs: Repairs, keys: Sequence[str], *, admin: str, people: str) -> None:
        self.database = database
        self.repairs = repairs
        self.keys = keys
        self.admin = admin
        self.self_owner = people

    async def take(self, folder: str, objects: int) -> Repair:
        """Make a folder a job's, or tell why not: nothing is guessed."""
        store = self.repairs.store
        if not _JOB_ID.match(folder):
            return self._unknown(folder, objects, "its name is not that of a job")
        claim, why = await read_claim_at(store, Place(folder, self.admin), self.keys)
        if claim is None:
            if self.repairs.spool.has(folder, CRATE):
                why += "; it has an RO-Crate: gateway rerun --from-crate"
            return self._unknown(folder, objects, why)
        if claim.job != folder:
            return self._unknown(folder, objects, f"its manifest is that of job {claim.job[:64]!a}")
        job = await self.database.read(lambda c: jobs.get(c, folder))
        if job is not None and (problem := _not_its(job, claim)):
            return self._unknown(folder, objects, problem, job_id=folder)
        if self.repairs.dry_run:
            files = sum(item.path.split("/", 1)[0] != RESERVED for item in self.repairs.spool.objects(folder))
            return Repair(kind="adopted", store=store.name, job_id=folder, folder=folder, added=files)
        made = await self.database.write(lambda c: self._take(c, folder, claim))
        if made is None:
            return self._unknown(folder, objects, "the job keeps its outputs in this store elsewhere", job_id=folder)
        spool = self.repairs.spool
        wrong = await self.database.read(lambda c: Comparison(spool, folder).run(c, folder, store.name))
        return await self.repairs.carry_out(made, folder, claim, totals=wrong, kind="adopted", any_store=True)

    def _take(self, connection: Connection, folder: str, claim: SignedClaim) -> Row | None:
        """Give the job this store; make it first where there is none. None where it has the store already."""
        if jobs.get(connection, folder) is None:
            store = self.repairs.store.name
            values = self._values(connection, folder, claim)
            jobs.insert_job(connection, values, [jobs.NewStore(store, None, reconciling.ADOPTED)])
            jobs.set_store(connection, folder, store, state=str(OutputsState.PARTIAL))
        elif not reconciling.add_store(connection, folder, self.repairs.store.name):
            return None
        return jobs.get(connection, folder)

    def _values(self, connection: Connection, folder: str, claim: SignedClaim) -> dict[str, Any]:
        store = self.repairs.store.name
        about = {name: _line(claim.about.get(name)) for name in ("owner", "name", "case", "target", "outcome")}
        owner = about["owner"]
        if owner != self.self_owner and (owner is None or people.get_person(connection, owner) is None):
            owner = self.admin
        known = about["outcome"] in [str(state) for state in ENDED]
        ended, name = _moment(claim.at), about["name"] or f"imported {folder[:8]}"
        told = "" if known else "; how it ended is not known"
        return {
            "id": folder,
            "name": name,
            "state": about["outcome"] if known else str(State.LOST),
            "reason": IMPORTED,
            "message": f"adopted from its folder in store {store}{told}",
            "owner": owner,
            "case": about["case"],
            "tags": {},
            "target": about["target"] or IMPORTED,
            "lane": "",
            "stores": [store],
            "spec": JobSpecification(name=name, script=UNKNOWN).model_dump(mode="json"),
            "request": {"name": name},
            "attempt": claim.attempt,
            "ended_at": ended,
        }

    def _unknown(self, folder: str, objects: int, why: str, job_id: str | None = None) -> Repair:
        name = self.repairs.store.name
        return Repair(kind="unknown", store=name, job_id=job_id, folder=folder[:200], objects=objects, detail=why)


def _not_its(job: Row, claim: SignedClaim) -> str | None:
    if State(job["state"]) not in ENDED:
        return f"the job is {job['state']}"
    if job["attempt"] != claim.attempt:
        return f"its manifest is that of attempt {claim.attempt}, and {job['attempt']} was the job's last one"
    return None


def _line(value: Any) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= 128 or text_problem(value):
        return None
    return value


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return jobs.now()
    return found if found.tzinfo is not None else jobs.now()

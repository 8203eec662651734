"""Retention over the API: plan, hold, run, and what can be read and verified afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from gateway.db import jobs, tables
from gateway.engine.retention import RetentionLoop
from tests.api.conftest import JOBS, Site, open_site, settings_for
from tests.api.settled import ended_job
from tests.api.somebody import stranger
from tests.api.test_verification import verified

RULE = {"name": "scratch", "after_days": 7, "keep": ["VTK/**"]}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    settings = settings_for(tmp_path / "data").model_dump() | {"retention": {"rules": [RULE]}}
    settings.pop("source")
    async with open_site(type(settings_for(tmp_path / "data")).model_validate(settings)) as made:
        yield made


async def old_job(site: Site) -> str:
    job_id = await ended_job(site)
    past = jobs.now() - timedelta(days=8)
    query = update(tables.jobs).where(tables.jobs.c.id == job_id).values(ended_at=past)
    await site.gateway.database.write(lambda c: c.execute(query))
    return job_id


async def carry_out(site: Site) -> None:
    gateway = site.gateway
    loop = RetentionLoop(gateway.database, gateway.settings, gateway.stores, gateway.bell)
    while await loop.do_one():
        pass


async def test_outputs_go_as_planned_and_what_stays_is_still_proved(site: Site) -> None:
    job_id = await old_job(site)
    plan = (await site.http.get("/api/v1/retention/plan")).json()
    assert [(item["job_id"], item["count"], item["blocked"]) for item in plan["items"]] == [(job_id, 2, None)]
    begun = await site.http.post("/api/v1/retention/run", json={})
    assert (begun.status_code, begun.json()) == (202, {"works": 1, "blocked": 0})
    await carry_out(site)
    gone = await site.http.get(f"{JOBS}/{job_id}/outputs/log.txt")
    assert gone.status_code == 404
    assert "rule scratch" in gone.json()["hint"]
    assert (await site.http.get(f"{JOBS}/{job_id}/outputs/VTK/a.vtk")).status_code == 200
    never = await site.http.get(f"{JOBS}/{job_id}/outputs/VTK/never")
    assert "hint" not in never.json()
    found = await verified(site, job_id)
    assert (found["verdict"], found["retired"], found["counts"]) == ("verified", 2, {"ok": 2})
    Path(site.gateway.data, "outputs", job_id, "VTK/a.vtk").unlink()
    assert (await verified(site, job_id))["verdict"] == "failed"
    works = (await site.http.get("/api/v1/retention/works")).json()["items"]
    assert [(work["count"], work["rule"], work["done_at"] is not None) for work in works] == [(2, "scratch", True)]
    audit = (await site.http.get("/api/v1/audit?action=retention_delete")).json()["items"]
    assert [(row["owner"], row["status"]) for row in audit] == [(site.gateway.owner, 200)]


async def test_a_page_of_the_plan_goes_on_where_the_last_one_ended(site: Site) -> None:
    wanted = sorted([await old_job(site) for _ in range(3)])
    query: dict[str, Any] = {"limit": 1}
    found = []
    while True:
        page = (await site.http.get("/api/v1/retention/plan", params=query)).json()
        found += [item["job_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert sorted(found) == wanted
    assert (await site.http.get("/api/v1/retention/plan?cursor=x")).status_code == 422
    assert (await site.http.get("/api/v1/retention/plan?rule=other")).json()["items"] == []


async def test_an_administrators_hold_is_not_its_owners(site: Site) -> None:
    job_id = await old_job(site)
    async with stranger(site) as owner:
        query = update(tables.jobs).where(tables.jobs.c.id == job_id).values(owner="stranger")
        await site.gateway.database.write(lambda c: c.execute(query))
        held = await site.http.post(f"{JOBS}/{job_id}/retention/hold", json={"why": "audit"})
        assert [(hold["kind"], hold["why"]) for hold in held.json()["holds"]] == [("admin", "audit")]
        assert (await owner.post(f"{JOBS}/{job_id}/retention/release")).status_code == 409
        assert (await owner.post(f"{JOBS}/{job_id}/retention/hold")).status_code == 200
        assert (await owner.post("/api/v1/retention/run", json={})).status_code == 403
        rule = {"after_days": 1, "keep": ["../x"]}
        refused = await owner.put(f"{JOBS}/{job_id}/retention", json=rule)
        assert refused.json()["errors"][0]["pointer"] == "#/keep/0"
        assert (await owner.put(f"{JOBS}/{job_id}/retention", json={"after_days": 1})).status_code == 409
    assert (await site.http.post("/api/v1/retention/run", json={"jobs": [job_id]})).json() == {"works": 0, "blocked": 1}

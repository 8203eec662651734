"""Finding outputs by pattern and by what is known of them: in one job, and across a person's jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.db import output_search, outputs
from gateway.jobs import output_search as service
from gateway.model.states import State
from tests.api.conftest import JOBS, Site
from tests.api.somebody import stranger

TREE = {
    "a.vtk": ("application/vtk", 10, 1),
    "VTK/a.vtk": ("application/vtk", 20, 2),
    "VTK/walls/b.vtk": ("application/vtk", 30, 3),
    "VTK/walls/b.png": ("image/png", 40, 4),
    "log.txt": ("text/plain", 50, 5),
    "[odd]*.vtk": (None, 60, 6),
}


async def fill(
    site: Site, job_id: str, tree: dict[str, tuple[str | None, int, int]] = TREE, store: str = "disk"
) -> None:
    rows = [
        outputs.OutputRow(path, size, "final", 1, datetime(2026, 1, day, tzinfo=UTC), kind)
        for path, (kind, size, day) in tree.items()
    ]
    await site.gateway.database.write(lambda c: outputs.upsert(c, job_id, store, rows))


async def found(http: Any, url: str, query: dict[str, Any], limit: int) -> list[str]:
    """All names, page by page."""
    names: list[str] = []
    query = {**query, "limit": limit}
    while True:
        answer = await http.get(url, params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        names += [file["name"] for file in page["files"]]
        if page["next_cursor"] is None:
            return names
        query["cursor"] = page["next_cursor"]


ASKED: list[tuple[dict[str, Any], list[str]]] = [
    ({"pattern": "**/*.vtk"}, ["VTK/a.vtk", "VTK/walls/b.vtk", "[odd]*.vtk", "a.vtk"]),
    ({"pattern": "*.vtk"}, ["[odd]*.vtk", "a.vtk"]),
    ({"pattern": "VTK/**"}, ["VTK/a.vtk", "VTK/walls/b.png", "VTK/walls/b.vtk"]),
    ({"pattern": "VTK/"}, ["VTK/a.vtk", "VTK/walls/b.png", "VTK/walls/b.vtk"]),
    ({"pattern": "VTK/w*/b.???"}, ["VTK/walls/b.png", "VTK/walls/b.vtk"]),
    ({"pattern": r"\[odd\]\*.vtk"}, ["[odd]*.vtk"]),
    ({"pattern": "**/*.vtk", "prefix": "VTK/w"}, ["VTK/walls/b.vtk"]),
    ({"pattern": "VTK/**", "prefix": "log"}, []),
    ({"content_type": "image/*"}, ["VTK/walls/b.png"]),
    ({"content_type": "text/plain"}, ["log.txt"]),
    ({"min_size": 40}, ["VTK/walls/b.png", "[odd]*.vtk", "log.txt"]),
    ({"modified_after": "2026-01-05T00:00:00Z", "min_size": 1}, ["[odd]*.vtk", "log.txt"]),
]


async def test_outputs_of_a_job_are_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_search, "FIRST_STEP", 2)
    monkeypatch.setattr(service, "PATIENCE", 0.0)
    job_id = (await site.submit())["id"]
    await fill(site, job_id)
    for asked, paths in ASKED:
        names = [f"{job_id}/{path}" for path in paths]
        by_name = {**asked, "prefix": f"{job_id}/{asked.get('prefix', '')}"}
        for limit in (1, 2, 100):
            assert await found(site.http, f"{JOBS}/{job_id}/outputs", asked, limit) == names, asked
        assert await found(site.http, "/api/v1/outputs", by_name, 3) == names, asked


@pytest.mark.parametrize(("limit", "patience"), [(1, 0.0), (3, 1.0), (100, 1.0)])
async def test_outputs_are_found_across_jobs_the_newest_first(
    site: Site, limit: int, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_search, "JOBS_AT_ONCE", 2)
    monkeypatch.setattr(service, "PATIENCE", patience)
    ids = [(await site.submit(tags={"study": "x"} if at % 2 else {}))["id"] for at in range(5)]
    for job_id in ids:
        await fill(site, job_id)
    await site.move(ids[1], State.CANCELLED)
    paths = ["VTK/a.vtk", "VTK/walls/b.vtk", "[odd]*.vtk", "a.vtk"]

    async def search(**query: Any) -> list[str]:
        return await found(site.http, "/api/v1/outputs", {"pattern": "**/*.vtk", **query}, limit)

    assert await search() == [f"{job_id}/{path}" for job_id in reversed(ids) for path in paths]
    assert await search(tag="study:x") == [f"{ids[at]}/{path}" for at in (3, 1) for path in paths]
    assert await search(state="cancelled") == [f"{ids[1]}/{path}" for path in paths]
    assert await search(state="running") == []
    assert await search(store="archive") == []


async def test_nobody_finds_what_is_somebody_elses_and_an_admin_asks_for_it(site: Site) -> None:
    async with stranger(site, "alice") as alice, stranger(site, "bob") as bob:
        body = {"command": ["true"], "image": {"ref": "https://example.org/x.sif"}}
        job_id = (await alice.post(JOBS, json=body)).json()["id"]
        await fill(site, job_id)
        mine = (await site.submit())["id"]
        await fill(site, mine)
        query = {"pattern": "log.*"}
        assert await found(alice, "/api/v1/outputs", query, 1) == [f"{job_id}/log.txt"]
        assert await found(bob, "/api/v1/outputs", query, 1) == []
        assert await found(site.http, "/api/v1/outputs", query, 1) == [f"{mine}/log.txt"]
        assert await found(site.http, "/api/v1/outputs", {**query, "owner": "alice"}, 1) == [f"{job_id}/log.txt"]
        assert len(await found(site.http, "/api/v1/outputs", {**query, "owner": "*"}, 1)) == 2
        assert (await bob.get("/api/v1/outputs", params={**query, "owner": "alice"})).status_code == 403
        within = (await alice.get("/api/v1/outputs", params={"pattern": "**", "limit": 1})).json()["next_cursor"]
        stolen = await bob.get("/api/v1/outputs", params={"pattern": "**", "cursor": within})
        assert stolen.json()["files"] == []


REFUSED = [
    ("pattern=[", "?pattern"),
    ("pattern=../x", "?pattern"),
    ("pattern=/etc/passwd", "?pattern"),
    ("pattern=a&delimiter=/", "?delimiter"),
    ("content_type=text", "?content_type"),
    ("min_size=-1", "?min_size"),
    ("modified_after=yesterday", "?modified_after"),
    ("delimiter=/", "?delimiter"),
    ("pattern=a&cursor=WyJqb2JzIiwxXQ", "?cursor"),
    ("prefix=00000000-0000-4000-8000-000000000000/&case=cavity", "?case"),
]


async def test_a_search_that_cannot_be_made_is_refused(site: Site) -> None:
    for query, pointer in REFUSED:
        answer = await site.http.get(f"/api/v1/outputs?{query}")
        assert answer.status_code == 422, answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]

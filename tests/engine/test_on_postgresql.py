"""A whole job on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from gateway.model.states import State


async def test_a_job_runs_to_its_end_on_postgresql(open_site, postgres_url: str, tmp_path: Path) -> None:
    gateway = {
        "data": str(tmp_path / "data"),
        "default_target": "here",
        "default_store": "folder",
        "database": postgres_url,
    }
    site = await open_site(gateway=gateway)
    await site.start()
    row = await site.ended(await site.submit("echo hello >out.txt"))
    assert (State(row["state"]), row["exit_code"]) == (State.SUCCEEDED, 0)
    stores = await site.stores(row["id"])
    assert (stores["folder"]["state"], stores["folder"]["count"]) == ("complete", 1)

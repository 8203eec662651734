"""What the engine does with progress reports and with requests for a pass now; a scheduler that refuses to hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.db import events, jobs
from gateway.engine import words
from gateway.engine.progress import last_value, read_value
from gateway.model.states import State
from tests.engine.conftest import EngineSite


@given(st.one_of(st.none(), st.integers(), st.floats(), st.text(), st.lists(st.integers())))
def test_whatever_is_reported_is_a_finite_number_or_nothing(reported: object):
    value = read_value(reported)
    assert value is None or (isinstance(value, float) and abs(value) < float("inf"))


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e250, max_value=1e250))
def test_a_number_is_read_as_it_was_written(value: float):
    assert read_value(repr(value)) == value


def test_of_many_reports_the_last_that_is_a_number_counts():
    lines: list[dict[str, Any]] = [{"phase": "progress", "value": v} for v in ("1", "2.5", "nan", "1e999", None, True)]
    assert last_value([*lines, {"phase": "running", "value": "9"}]) == 2.5
    assert last_value([]) is None


async def kinds(site: EngineSite, job_id: str) -> list[str]:
    """The kinds of a job's events, in order."""
    rows = await site.gateway.database.read(lambda c: events.after(c, 0, job_id=job_id))
    return [row["kind"] for row in rows]


async def test_progress_reaches_the_job_with_its_range_and_one_event_a_change(site: EngineSite):
    rule = {"file": "payload.out", "pattern": "^step ([0-9]+)", "max": 20, "unit": "steps"}
    job = await site.submit("echo step 7; while [ ! -e go ]; do sleep 0.02; done; echo step 20", progress=rule)
    await site.start()
    row = await site.wait(job, lambda row: row["progress"])
    assert row["progress"] == {"value": 7.0, "min": 0.0, "max": 20.0, "unit": "steps"}
    Path(row["a_job_folder"], "go").touch()
    row = await site.ended(job)
    assert row["progress"]["value"] == 20.0
    assert (await kinds(site, job)).count("progress") == 2


async def test_a_pass_is_made_now_where_none_would_be_for_a_long_time(open_site: Callable[..., Any]):
    stores = {
        "pushed": {"kind": "directory", "path": "{data}/pushed"},
        "relayed": {"kind": "directory", "path": "{data}/relayed", "transfer": "relay"},
    }
    site: EngineSite = await open_site(stores=stores)
    script = "echo data >result; while [ ! -e go ]; do sleep 0.02; done"
    sync = {"interval": None, "settle": 0, "reserve": 20}
    job = await site.submit(script, stores=["pushed", "relayed"], sync=sync)
    await site.start()
    row = await site.wait(job, lambda row: row["a_payload_started_at"])
    folder = Path(row["a_job_folder"])
    await site.wait(job, lambda _: (folder / "result").exists())
    await site.gateway.verbs.sync(job, site.gateway.owner)
    copies = [site.gateway.data / name / job / "result" for name in stores]
    await site.wait(job, lambda _: all(copy.exists() for copy in copies))
    row = await site.wait(job, lambda row: row["sync_requested_at"] is None)
    assert row["state"] == State.RUNNING
    (folder / "go").touch()
    await site.ended(job)
    assert "sync_requested" in await kinds(site, job)


async def test_a_word_that_came_too_late_or_was_refused_leaves_no_job_shown_as_held(site: EngineSite):
    job = await site.submit("exit 0")
    await site.gateway.database.write(lambda c: jobs.set_columns(c, job, hold=True))
    await site.gateway.database.write(lambda c: jobs.insert_attempt(c, job, 1, "gw-0123456789ab"))
    row = await site.row(job)
    assert not words.to_hold(row)
    await site.gateway.database.write(lambda c: words._held(c, row, "no such job"))
    assert not (await site.row(job))["hold"]
    await site.gateway.database.write(lambda c: words._held(c, row, None))
    row = await site.row(job)
    assert row["a_hold_sent_at"] is not None
    await site.gateway.database.write(lambda c: words._released(c, row, None))
    assert (await site.row(job))["a_hold_sent_at"] is None
    assert (await kinds(site, job)).count("hold_refused") == 1

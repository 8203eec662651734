"""Jobs that may not start yet: what is decided about them, and what the engine does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.db import jobs
from gateway.engine.observe import after_others, ends_unseen
from gateway.engine.verdict import Decision, Ending
from gateway.engine.waiting import Verdict, judge, needs_outputs, sentence
from gateway.model.states import State
from tests.engine.conftest import EngineSite


def wait(kind: str = "after_success", **changes: Any) -> dict[str, Any]:
    """A row about a job that is waited for."""
    plain = {
        "kind": kind,
        "on_job": "11111111-1111-4111-8111-111111111111",
        "name": "first",
        "state": "running",
        "lane": "here",
        "attempt": 1,
        "attempts": 1,
        "scheduler_id": "17",
        "final": None,
    }
    return plain | changes


def ending(state: str) -> dict[str, Any]:
    """A final record that was understood as `state`."""
    return {"ending": {"state": state}, "record": None}


@pytest.mark.parametrize(
    ("row", "lane", "expected"),
    [
        (wait(state="succeeded"), "here", Verdict.OVER),
        (wait(state="failed"), "here", Verdict.FAILED),
        (wait(state="cancelled"), "here", Verdict.FAILED),
        (wait(state="lost"), "here", Verdict.FAILED),
        (wait("after_end", state="failed"), "here", Verdict.OVER),
        (wait("after_end", state="cancelled"), "here", Verdict.OVER),
        (wait(state=None), "here", Verdict.FAILED),
        (wait("after_end", state=None), "here", Verdict.OVER),
        (wait(), "here", Verdict.SCHEDULER),
        (wait("after_end", state="queued"), "here", Verdict.SCHEDULER),
        (wait(), None, Verdict.WAIT),
        (wait(), "there", Verdict.WAIT),
        (wait(attempts=3), "here", Verdict.WAIT),
        (wait(state="accepted", scheduler_id=None), "here", Verdict.WAIT),
        (wait(state="staging"), "here", Verdict.WAIT),
        (wait(state="unknown"), "here", Verdict.WAIT),
        (wait(state="draft"), "here", Verdict.WAIT),
        (wait(state="finalizing", final=ending("succeeded")), "here", Verdict.WAIT),
        (wait(state="finalizing", final=ending("failed")), "here", Verdict.FAILED),
        (wait(state="finalizing", final=ending("failed"), attempts=2), "here", Verdict.WAIT),
        (wait("after_end", state="finalizing", final=ending("failed")), "here", Verdict.WAIT),
    ],
)
def test_a_predecessor_means_what_the_gateway_itself_has_proved(row: dict[str, Any], lane: str | None, expected: str):
    assert judge(row, lane) is expected


@pytest.mark.parametrize("state", list(State))
def test_no_job_is_told_to_go_before_what_it_waits_for_has_ended(state: State):
    for kind in ("after_success", "after_end"):
        over = judge(wait(kind, state=str(state), final=ending("succeeded")), None) is Verdict.OVER
        assert not over or state in {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.LOST}


def test_a_job_says_what_it_waits_for_and_why_it_never_starts():
    found = [(wait("after_end", name="a\nb"), Verdict.WAIT), (wait(name="c"), Verdict.OVER)]
    assert sentence(found) == f"waits for the end of 'a\\nb' ({wait()['on_job']})"
    assert "did not succeed" in sentence([(wait(state="failed"), Verdict.FAILED)])
    assert "has been deleted" in sentence([(wait(state=None, name=None), Verdict.FAILED)])
    assert sentence([(wait(), Verdict.WAIT)] * 5).endswith(" and 2 more")


def test_a_job_that_reads_anothers_outputs_is_not_left_to_the_scheduler():
    on_job = wait()["on_job"]
    specification = {"command": ["true"], "inputs": [{"path": "a", "job": on_job, "output": "b"}]}
    assert needs_outputs(specification, [on_job])
    assert not needs_outputs({"command": ["true"]}, [on_job])


async def test_a_job_starts_after_the_success_of_another_and_one_after_a_failure_never_does(site: EngineSite):
    first = await site.submit("while [ ! -e go ]; do sleep 0.02; done; exit 3")
    good = await site.submit("exit 0")
    after_end = await site.submit("exit 0", after_end=[first], after_success=[good])
    after_success = await site.submit("exit 0", after_success=[first], name="never")
    behind = await site.submit("exit 0", after_success=[after_success])
    await site.start()
    row = await site.wait(after_end, lambda row: "waits for the end of" in (row["message"] or ""))
    assert row["state"] == "accepted"
    running = await site.wait(first, lambda row: row["state"] == "running" and row["a_payload_started_at"])
    Path(running["a_job_folder"], "go").touch()
    row = await site.ended(after_end)
    assert (row["state"], row["message"]) == ("succeeded", None)
    row = await site.ended(after_success)
    assert (row["state"], row["reason"]) == ("cancelled", "dependency_failed")
    assert "did not succeed" in row["message"]
    assert row["a_number"] is None
    assert (await site.ended(behind))["reason"] == "dependency_failed"
    states = await site.states(after_end)
    assert states.index("staging") == 1


async def test_a_held_job_is_not_staged_until_it_is_released_and_then_runs(site: EngineSite):
    held = await site.submit("exit 0")
    owner = site.gateway.owner
    assert (await site.gateway.verbs.hold(held, owner)).hold
    free = await site.submit("exit 0")
    await site.start()
    await site.ended(free)
    row = await site.wait(held, lambda row: row["message"])
    assert (row["state"], row["hold"], row["a_number"]) == ("accepted", True, None)
    job = await site.gateway.verbs.release(held, owner)
    assert (job.hold, job.message) == (False, None)
    assert (await site.ended(held))["state"] == "succeeded"


async def test_a_held_job_can_be_cancelled(site: EngineSite):
    held = await site.submit("exit 0")
    await site.gateway.verbs.hold(held, site.gateway.owner)
    await site.start()
    await site.wait(held, lambda row: row["message"])
    await site.cancel(held)
    assert (await site.ended(held))["state"] == "cancelled"


async def test_a_job_that_its_scheduler_ended_without_a_word_waits_until_it_is_known_why(site: EngineSite):
    first = await site.submit("exit 0")
    second = await site.submit("exit 0", after_success=[first])
    await site.gateway.database.write(lambda c: jobs.insert_attempt(c, second, 1, "gw-0123456789ab"))
    ended = Ending(State.FAILED, "node_failed", "It left no final record.", None)
    decision = Decision(State.FINALIZING, {"final": {"ending": ended.as_json(), "record": None}})
    row = await site.row(second)
    assert ends_unseen(row, decision)

    async def decided() -> Decision:
        return await site.gateway.database.read(lambda c: after_others(c, row, decision))

    assert await decided() == Decision(State.ACCEPTED)
    await site.gateway.database.write(lambda c: jobs.change_state(c, first, State.CANCELLED))
    found = Ending.from_json((await decided()).attempt["final"]["ending"])
    assert (found.state, found.reason) == (State.CANCELLED, "dependency_failed")
    alone = await site.submit("exit 0")
    row = await site.row(alone)
    assert await decided() == decision

"""Sweeps as arrays of a real Slurm: every task with its own claim, state, exit code and outputs."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from running import ENDED, RunningGateway, wait_until
from sections import ssh_target

from testbed.cluster import Cluster

TASKS = 12


@pytest.fixture(scope="module")
def gateway(start_gateway, cluster: Cluster):
    host = {"kind": "auto", "allow_host": True}
    raw = {
        "targets": {
            "slurm": ssh_target(cluster, "slurm", "slurm", runtime=host),
            "small": {
                **ssh_target(cluster, "small", "slurm", runtime=host),
                "scheduler": {"kind": "slurm", "array_limit": 5, "array_throttle": 2},
            },
            "pbs": ssh_target(cluster, "pbs", "pbs", runtime=host),
        },
        "stores": {"folder": {"kind": "directory", "path": "{data}/outputs", "transfer": "relay"}},
    }
    return start_gateway(raw)


def sweep(gateway: RunningGateway, target: str, script: str, points: list[dict[str, Any]], **body: Any) -> str:
    """Submit a sweep over variables of the environment."""
    job = {
        "target": target,
        "stores": ["folder"],
        "image": None,
        "script": script,
        "resources": {"walltime": 120, "memory": "64M"},
        "sync": {"interval": None, "settle": 0, "reserve": 40},
    }
    table = [{f"/env/{name}": value for name, value in point.items()} for point in points]
    answer = gateway.http.post("/api/v1/sweeps", json={"job": job, "table": table, **body})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def jobs_of(gateway: RunningGateway, sweep_id: str) -> list[dict[str, Any]]:
    """Return a sweep's jobs by their index."""
    items = gateway.http.get("/api/v1/jobs", params={"sweep": sweep_id, "limit": 200}).json()["items"]
    return sorted(items, key=lambda job: int(job["name"].rpartition("#")[2]))


def ended(gateway: RunningGateway, sweep_id: str, seconds: float = 120) -> list[dict[str, Any]]:
    """Return a sweep's jobs when all have ended."""

    def all_ended() -> list[dict[str, Any]] | None:
        found = jobs_of(gateway, sweep_id)
        return found if found and all(job["state"] in ENDED for job in found) else None

    found: list[dict[str, Any]] = wait_until(all_ended, seconds, "the sweep's end")
    return found


def in_arrays(jobs: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the tasks of each array."""
    found: dict[str, list[str]] = {}
    for job in jobs:
        array, mark, task = str(job["scheduler_id"]).partition("_")
        assert mark, job["scheduler_id"]
        found.setdefault(array, []).append(task)
    return found


def test_sweeps_are_arrays_where_they_fit_and_each_task_has_its_own_exit_code_and_outputs(
    gateway: RunningGateway,
) -> None:
    script = 'echo "$WORD" >own.txt; echo "said $WORD"; exit "$CODE"'
    points = [{"WORD": f"word {index}", "CODE": str(index % 3)} for index in range(TASKS)]
    numbers = [{"N": str(index)} for index in range(11)]
    whole = sweep(gateway, "slurm", script, points)
    chunked = sweep(gateway, "small", "exit 0", numbers)
    one, without_tasks = sweep(gateway, "slurm", "exit 0", numbers[:1]), sweep(gateway, "pbs", "exit 0", numbers[:2])

    jobs = ended(gateway, whole)
    (tasks,) = in_arrays(jobs).values()
    assert sorted(tasks, key=int) == [str(index + 1) for index in range(TASKS)]
    for index, job in enumerate(jobs):
        assert (job["exit_code"], job["state"]) == (index % 3, "failed" if index % 3 else "succeeded")
        assert gateway.read(job["id"], "own.txt") == f"word {index}\n".encode()
        assert gateway.log(job["id"]) == f"said word {index}\n".encode()

    jobs = ended(gateway, chunked)
    assert [len(tasks) for tasks in in_arrays(jobs[:-1]).values()] == [5, 5]
    assert "_" not in jobs[-1]["scheduler_id"]
    alone = [*ended(gateway, one), *ended(gateway, without_tasks)]
    assert ["_" in job["scheduler_id"] for job in alone] == [False] * 3
    assert {job["state"] for job in [*jobs, *alone]} == {"succeeded"}


def test_one_task_is_cancelled_and_then_all_the_others(gateway: RunningGateway, cluster: Cluster) -> None:
    points = [{"N": str(index)} for index in range(TASKS)]
    sweep_id = sweep(gateway, "slurm", "trap 'exit 7' TERM; sleep 600 & wait", points)
    # Eight processors: some tasks run, some wait.
    wait_until(
        lambda: {"queued", "running"} == {job["state"] for job in jobs_of(gateway, sweep_id)}, 60, "some running tasks"
    )
    found = jobs_of(gateway, sweep_id)
    (array,) = in_arrays(found)
    waiting = next(job for job in reversed(found) if job["state"] == "queued")
    running = next(job for job in found if job["state"] == "running")
    for job in (waiting, running):
        gateway.cancel(job["id"])
        assert gateway.wait(job["id"])["state"] == "cancelled"
    left = [job for job in jobs_of(gateway, sweep_id) if job["state"] not in ENDED]
    assert len(left) == TASKS - 2
    assert gateway.http.post(f"/api/v1/sweeps/{sweep_id}/cancel").status_code == 202
    assert {job["state"] for job in ended(gateway, sweep_id)} == {"cancelled"}
    wait_until(lambda: array not in cluster.jobs(), 60, "the array's end")


def forget_answers(gateway: RunningGateway, jobs: list[dict[str, Any]]) -> None:
    """Put the database and the target back to where the submit command's answer has not come."""
    with closing(sqlite3.connect(gateway.data / "gateway.db")) as connection, connection:
        for job in jobs:
            connection.execute("UPDATE jobs SET state = 'staging', scheduler_id = NULL WHERE id = ?", [job["id"]])
            columns = "scheduler_id = NULL, submitted_at = NULL, claimed_at = NULL, token = NULL"
            connection.execute(f"UPDATE attempts SET {columns} WHERE job_id = ?", [job["id"]])
        query = "SELECT array, control_folder FROM attempts WHERE job_id = ?"
        name, control = connection.execute(query, [jobs[0]["id"]]).fetchone()
    (Path(control).parents[1] / "arrays" / name / "scheduler_id").unlink()


def test_an_array_whose_answer_was_lost_is_found_by_its_name_and_runs_once(
    gateway: RunningGateway, cluster: Cluster
) -> None:
    counted = Path(cluster.home) / "counted"
    script = f'mkdir -p {counted}; while [ ! -e {counted}/go ]; do sleep 0.2; done; echo run >>{counted}/"$N"'
    sweep_id = sweep(gateway, "slurm", script, [{"N": str(index)} for index in range(TASKS)])
    wait_until(lambda: "running" in {job["state"] for job in jobs_of(gateway, sweep_id)}, 60, "a running task")
    wait_until(counted.exists, 60, "the payload's start")
    before, arrays = jobs_of(gateway, sweep_id), set(cluster.jobs())
    gateway.end(signal.SIGKILL)
    forget_answers(gateway, before)
    gateway.start()
    wait_until(lambda: all(job["scheduler_id"] for job in jobs_of(gateway, sweep_id)), 60, "the ids again")
    found = jobs_of(gateway, sweep_id)
    assert [job["scheduler_id"] for job in found] == [job["scheduler_id"] for job in before]
    assert set(cluster.jobs()) == arrays
    (counted / "go").touch()
    assert {job["state"] for job in ended(gateway, sweep_id)} == {"succeeded"}
    assert [(counted / str(index)).read_text() for index in range(TASKS)] == ["run\n"] * TASKS

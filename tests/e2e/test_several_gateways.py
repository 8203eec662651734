"""Two gateway processes with data folders of their own on one PostgreSQL: one drives a target, the other takes over."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import RunningGateway, wait_until

from testbed.postgres import Postgres

WITHIN = 15.0
"""Seconds in which a holder that died or froze has to be replaced."""
HOST = {"sync": {"interval": None, "reserve": 20}, "resources": {"walltime": 300}, "image": None}


class Pair:
    """Two gateways on one database and one target."""

    def __init__(self, folder: Path, url: str) -> None:
        self.work = folder / "site/work"
        self.work.mkdir(parents=True)
        target = {"poll_interval": 0.5, "runtime": {"allow_host": True}, "workdir": str(self.work)}
        store = {"kind": "directory", "path": f"{folder}/site/out", "target": "t"}
        raw = {"targets": {"t": target}, "stores": {"s": store}}
        self.gateways = []
        for name in ("a", "b"):
            (folder / name).mkdir()
            self.gateways.append(RunningGateway(folder / name, raw, {"GATEWAY__GATEWAY__DATABASE": url}).start())

    def stop(self) -> None:
        """End both."""
        for gateway in self.gateways:
            if gateway.process is not None:
                gateway.process.send_signal(signal.SIGCONT)
            gateway.stop()

    def roles(self) -> tuple[RunningGateway, RunningGateway]:
        """Return the one that drives, and the other."""
        first, second = self.gateways
        return (first, second) if held_by(first) else (second, first)

    def runs(self, job_id: str) -> list[str]:
        """Say how often the payload ran, by its own account."""
        return (self.work / job_id / "runs").read_text().splitlines()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Pair]:
    """Two gateways for the module: each test finds both alive."""
    url = postgres.make_database()
    made = Pair(tmp_path_factory.mktemp("pair"), url)
    yield made
    made.stop()
    postgres.drop_database(url)


def ready(gateway: RunningGateway) -> dict[str, Any]:
    found: dict[str, Any] = gateway.http.get("/readyz").json()
    return found


def target(gateway: RunningGateway) -> dict[str, Any]:
    found: dict[str, Any] = gateway.http.get("/api/v1/targets/t").json()
    return found


def held_by(gateway: RunningGateway) -> bool:
    return bool(ready(gateway)["lease"] == "held")


def payload(gate: Path) -> str:
    return f"echo run >>runs; while ! [ -e {gate} ]; do sleep 0.1; done; echo done >result"


def test_events_come_at_once_from_a_process_that_drives_nothing(pair: Pair) -> None:
    driving, serving = pair.roles()
    assert ready(serving)["leases"] == {ready(driving)["process"]: 1}
    seen = []
    with serving.http.stream("GET", "/api/v1/events") as stream:
        job_id = serving.submit(**HOST, script="true")
        for line in stream.iter_lines():
            if line.startswith("data:"):
                seen.append(json.loads(line.removeprefix("data:")))
                if seen[-1]["kind"] == "state" and seen[-1]["data"]["to"] == "succeeded":
                    break
    assert {event["job_id"] for event in seen} == {job_id}
    assert [event["sequence"] for event in seen] == sorted(event["sequence"] for event in seen)
    shown = target(serving)
    assert (shown["driver"], shown["state"], shown["budget"]["processes"]) == (ready(driving)["process"], "ok", 2)
    assert shown["budget"]["used"] >= 1


def test_a_frozen_process_that_wakes_up_changes_nothing(pair: Pair, tmp_path: Path) -> None:
    frozen, other = pair.roles()
    job_id = other.submit(**HOST, script=payload(tmp_path / "gate"))
    other.wait_state(job_id, "running")
    assert frozen.process is not None
    os.kill(frozen.process.pid, signal.SIGSTOP)
    wait_until(lambda: held_by(other), WITHIN, "the take-over")
    (tmp_path / "gate").touch()
    assert other.wait(job_id)["state"] == "succeeded"
    events = other.events(job_id)
    following = other.submit(**HOST, script="echo run >>runs")
    os.kill(frozen.process.pid, signal.SIGCONT)
    wait_until(lambda: not held_by(frozen), 10, "the end of the woken process's work")
    assert other.wait(following)["state"] == "succeeded"
    assert (pair.runs(job_id), pair.runs(following)) == (["run"], ["run"])
    assert (other.events(job_id), held_by(other)) == (events, True)
    fences = [path.name for path in (pair.work / ".gateway/fences").iterdir()]
    assert max(int(name.rpartition(".")[2]) for name in fences) == 2


def test_another_process_takes_over_from_one_that_was_killed(pair: Pair, tmp_path: Path) -> None:
    killed, other = pair.roles()
    job_id = other.submit(**HOST, script=payload(tmp_path / "gate"))
    other.wait_state(job_id, "running")
    killed.end(signal.SIGKILL)
    wait_until(lambda: held_by(other), WITHIN, "the take-over")
    (tmp_path / "gate").touch()
    job = other.wait(job_id)
    assert (job["state"], job["outputs"]["state"], pair.runs(job_id)) == ("succeeded", "complete", ["run"])
    killed.start()
    assert (held_by(killed), held_by(other)) == (False, True)

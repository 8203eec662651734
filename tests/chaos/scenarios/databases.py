"""Faults of the gateway's own database, and of its clock."""

from __future__ import annotations

import sqlite3
import threading
import time

from testbed.postgres import Postgres
from tests.chaos.registry import scenario
from tests.chaos.scene import Scene
from tests.chaos.sound import assert_sound, states


@scenario(
    "SQLite is locked by another process",
    "Somebody holds the write lock for 20 s while one job runs and another is submitted.",
)
def sqlite_locked(scene: Scene) -> str:
    gateway = scene.start()
    job_id = scene.submit()
    scene.running(job_id)
    answers: list[str] = []
    with sqlite3.connect(gateway.data / "gateway.db", isolation_level=None, timeout=30) as link:
        link.execute("BEGIN IMMEDIATE")
        asking = threading.Thread(target=lambda: answers.append(scene.submit(script=scene.payload(wait=False))))
        asking.start()
        time.sleep(10)
        assert gateway.job(job_id)["state"] == "running"  # reading goes on
        scene.release()
        time.sleep(10)
        link.execute("COMMIT")
    link.close()
    asking.join()
    assert_sound(scene, job_id)
    assert_sound(scene, answers[0])
    return "Reading went on, the request waited; both jobs ran once."


@scenario(
    "SQLite is locked for longer than anybody waits",
    "Somebody holds the write lock for 35 s, beyond the gateway's 30, while a job ends.",
)
def sqlite_locked_long(scene: Scene) -> str:
    gateway = scene.start()
    job_id = scene.submit()
    scene.running(job_id)
    request = {"target": "t", "image": None, "script": "true"}
    answers: list[int] = []

    def ask() -> None:
        answers.append(gateway.http.post("/api/v1/jobs", json=request, timeout=200).status_code)

    with sqlite3.connect(gateway.data / "gateway.db", isolation_level=None, timeout=30) as link:
        link.execute("BEGIN IMMEDIATE")
        asking = threading.Thread(target=ask)
        asking.start()
        scene.release()
        time.sleep(35)
        link.execute("COMMIT")
    link.close()
    asking.join()
    assert answers[0] in (202, 503)
    assert_sound(scene, job_id)
    return f"A request meanwhile got {answers[0]}; the job went {' → '.join(states(gateway, job_id))}."


def on_postgres(scene: Scene) -> Postgres:
    """Start a server that the scenario may stop, and a gateway on it."""
    server: Postgres = scene.keep(Postgres())
    scene.start(environ={"GATEWAY__GATEWAY__DATABASE": server.make_database()})
    return server


@scenario(
    "PostgreSQL is gone and back while a job runs",
    "The server is stopped for 6 s; the payload ends meanwhile.",
    quick=True,
)
def postgres_gone(scene: Scene) -> str:
    server = on_postgres(scene)
    job_id = scene.submit()
    scene.running(job_id)
    server.down()
    scene.release()
    time.sleep(6)
    server.up()
    assert_sound(scene, job_id)
    return f"It went {' → '.join(states(scene.gateway, job_id))}."


@scenario(
    "PostgreSQL is restarted again and again", "Five immediate restarts, 1.5 s apart, from before the submission on."
)
def postgres_restarted(scene: Scene) -> str:
    server = on_postgres(scene)
    ids = [scene.submit(script=scene.payload(wait=False)) for _ in range(3)]
    for _ in range(5):
        server.down(immediate=True)
        server.up()
        time.sleep(1.5)
    for job_id in ids:
        assert_sound(scene, job_id)
    return "Three jobs ran once each."


@scenario(
    "PostgreSQL is gone when a job's answer comes back", "The server is stopped while sbatch works, and back 3 s later."
)
def postgres_gone_in_submission(scene: Scene) -> str:
    server = on_postgres(scene)
    scene.stop_at("sbatch", "*' --parsable '*")
    job_id = scene.submit(script=scene.payload(wait=False))
    scene.stopped()
    server.down()
    scene.go_on()
    time.sleep(3)
    server.up()
    assert_sound(scene, job_id)
    return f"It went {' → '.join(states(scene.gateway, job_id))}."


def skewed(hours: int, word: str) -> None:
    """Add the scenario of a gateway whose clock is wrong."""

    @scenario(
        f"the cluster's clock is an hour {word} the gateway's",
        "The gateway's own clock is shifted, so that every time in the node's records is wrong by an hour.",
    )
    def play(scene: Scene) -> str:
        gateway = scene.start(options={"modules": ["tests.chaos.shifted_clock"], "shift": 3600 * hours})
        job_id = scene.submit()
        scene.running(job_id)
        assert "unknown" not in states(gateway, job_id)
        cancelled = scene.submit()
        scene.running(cancelled)
        gateway.cancel(cancelled)
        assert_sound(scene, cancelled, state=("cancelled",))
        scene.release()
        assert_sound(scene, job_id)
        return f"It went {' → '.join(states(gateway, job_id))}; another was cancelled gracefully."


skewed(1, "behind")
skewed(-1, "ahead of")

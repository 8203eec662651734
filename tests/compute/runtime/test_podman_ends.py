"""Podman's private folder and its container, when things are killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.compute.runtime.container_run import Person, Run, processes_about, until

pytestmark = pytest.mark.real
WAITING = ("bash", "-c", 'trap "" TERM; touch ready; while :; do sleep 0.1; done')
_STOP_FROM_ELSEWHERE = """
gw_open_silence
gw_payload_pid=$gw_other_pid
"gw_${gw_kind}_available" && "gw_${gw_kind}_stop" 1
"""


def _folders(person: Person, run: Run) -> list[Path]:
    found = []
    for folder in person.private_folders():
        try:
            if run.job in (folder / "owner").read_text():
                found.append(folder)
        except OSError:
            continue
    return found


def _kill_everything_but_the_container(run: Run, process: subprocess.Popen[bytes], payload: int) -> tuple[Path, int]:
    """Return the folder and the container's first process, which any other job of this machine may end from now on."""
    folder = _folders(run.person, run)[0]
    container = int((folder / "pid").read_text())
    os.kill(container, 0)
    script = processes_about(f"{run.job}.sh")
    engine = {
        pid for pid, words in processes_about(str(folder)).items() if "gateway-init" not in words or "podman" in words
    }
    for pid in {process.pid, payload, *script, *engine}:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()
    return folder, container


def _started(run: Run) -> tuple[subprocess.Popen[bytes], int]:
    process = run.start()
    assert process.stdout is not None
    word, pid = process.stdout.readline().split()
    assert word == b"started"
    run.ready()
    return process, int(pid)


def test_nothing_is_left_in_tmp_after_a_normal_end(person: Person) -> None:
    run = Run(person, "podman", ["true"])
    assert run.run().status == 0
    assert _folders(person, run) == []
    assert processes_about(run.job) == {}


def test_nothing_is_left_in_tmp_after_a_forced_end(person: Person) -> None:
    run = Run(person, "podman", WAITING, stop_after=0)
    assert run.run().status == 137
    assert _folders(person, run) == []
    assert processes_about(run.job) == {}


def test_the_next_job_ends_what_a_killed_one_left(person: Person) -> None:
    dead = Run(person, "podman", WAITING)
    folder, container = _kill_everything_but_the_container(dead, *_started(dead))
    assert Run(person, "podman", ["true"]).run().status == 0
    until(lambda: not folder.exists(), "the folder is removed")
    assert container not in processes_about("gateway-init")
    assert processes_about(str(folder)) == {}


def test_the_folder_of_a_living_job_is_left_alone(person: Person) -> None:
    living = Run(person, "podman", WAITING)
    process, payload = _started(living)
    assert Run(person, "podman", ["true"]).run().status == 0
    assert len(_folders(person, living)) == 1
    elsewhere = Run(person, "podman", ["true"], other_pid=payload, job=living.job)
    elsewhere.run(_STOP_FROM_ELSEWHERE)
    assert living.end(process).status == 137


def test_folders_of_another_node_are_left_alone(own: Person) -> None:
    folder = Path(tempfile.mkdtemp(prefix=f"gw-{own.uid}.", dir="/tmp"))
    folder = folder.rename(folder.with_name(folder.name[: len(f"gw-{own.uid}.") + 6]))
    try:
        (folder / "owner").write_text("1 1 a-job 1\nanother-node pid:[4026531836]\n")
        assert Run(own, "podman", ["true"]).run().status == 0
        assert (folder / "owner").exists()
    finally:
        shutil.rmtree(folder)


def test_another_process_of_the_attempt_ends_the_container_of_a_killed_script(person: Person) -> None:
    dead = Run(person, "podman", WAITING)
    process, payload = _started(dead)
    folder, container = _kill_everything_but_the_container(dead, process, payload)
    Run(person, "podman", ["true"], other_pid=payload, job=dead.job).run(_STOP_FROM_ELSEWHERE)
    assert container not in processes_about("gateway-init")
    assert not folder.exists()

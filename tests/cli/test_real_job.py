"""One real job from the command line: ``gateway serve`` as a process, the local machine, no container."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.real

SCRIPT = r"""
mkdir -p VTK/walls
for step in 0 1 2; do printf 'step %s\n' $step | tee VTK/flow_$step.vtk; done
printf 'wall' > VTK/walls/w.vtk
printf '\033[31mred\033[0m done\n' | tee log.txt
"""


@pytest.fixture
def serve(config: Path) -> Iterator[None]:
    """``gateway serve``, ended by SIGTERM as a service manager would."""
    argv = [sys.executable, "-m", "gateway.cli.main", "--config", str(config), "serve"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            assert "listens on http://127.0.0.1:" in child.stdout.readline()
            yield
        finally:
            child.send_signal(signal.SIGTERM)
            said, complained = child.communicate()
    assert (child.returncode, said, complained) == (0, "", "")


@pytest.fixture
def specify(tmp_path: Path) -> Any:
    """Write a specification that runs bash text on this machine."""

    def write(script: str) -> Path:
        body = {"name": "flow", "script": script, "outputs": [{"source": "VTK/**"}, {"source": "*.txt"}]}
        file = tmp_path / "job.json"
        file.write_text(json.dumps({**body, "resources": {"walltime": 60}, "sync": {"interval": None}}))
        return file

    return write


def test_a_job_is_submitted_watched_read_and_fetched(command: Any, serve: None, specify: Any, tmp_path: Path) -> None:
    said = command("submit", specify(SCRIPT), "--wait")
    assert said.status == 0, said.err
    job_id = said.out.strip()
    assert "succeeded" in said.err
    assert "outputs complete: 5 files" in said.err.splitlines()[-1]

    assert command("logs", job_id).out == "step 0\nstep 1\nstep 2\nred done\n"
    assert "\x1b[31m" in command("logs", job_id, "--raw").out
    assert command("logs", "@last", "-f", "--tail", "5").out == "done\n"

    tree = command("outputs", job_id).out.splitlines()
    assert [row.split()[0] for row in tree] == [
        "VTK/",
        "flow_0.vtk",
        "flow_1.vtk",
        "flow_2.vtk",
        "walls/",
        "w.vtk",
        "log.txt",
    ]
    assert all(row.endswith(("final", "files", "1 file")) for row in tree)

    folder = tmp_path / "got"
    assert command("outputs", job_id, "VTK/", "--get", "--to", folder).status == 0
    assert (folder / "VTK/walls/w.vtk").read_text() == "wall"
    assert not (folder / "log.txt").exists()
    assert command("outputs", job_id, "nothing", "--get").status == 3

    assert command("manifest", job_id).json["manifest"]["state"] == "complete"
    assert command("watch", job_id).status == 0
    assert "step" in command("script", job_id).out


def test_a_job_that_fails_ends_the_wait_with_ten(command: Any, serve: None, specify: Any) -> None:
    said = command("submit", specify("echo so far; exit 3"), "--wait")
    assert said.status == 10
    assert "failed (exit_code)" in said.err
    assert "exit code     3" in command("show", "@last").out


def test_a_running_job_is_cancelled_and_keeps_what_it_wrote(command: Any, serve: None, specify: Any) -> None:
    job_id = command("submit", specify("echo kept > a.txt; echo up; sleep 50")).out.strip()
    for _ in range(300):
        if command("logs", job_id).out == "up\n":
            break
        time.sleep(0.1)
    else:
        pytest.fail("the payload said nothing")
    said = command("cancel", job_id, "--wait")
    assert "cancelled (cancelled_by_user)" in said.err
    assert command("outputs", job_id, "--json").json["files"][0]["path"] == "a.txt"

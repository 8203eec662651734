"""The script that installs Debian packages says exactly what is missing, and nothing when nothing is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "setup-debian.sh"


def run(*argv: str, path: str = "/usr/local/bin:/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(SCRIPT), *argv]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)


def bare_machine(folder: Path) -> str:
    """Return a PATH with an ordinary user's `id` and nothing else that a profile looks for."""
    (folder / "id").write_text("#!/bin/sh\necho 1000\n")
    (folder / "id").chmod(0o755)
    return str(folder)


def test_nothing_is_said_when_everything_is_there() -> None:
    done = run("venv", "demo", "demo-cluster", "test", "bench")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_ordinary_user_is_told_the_one_line_to_run(tmp_path: Path) -> None:
    done = run("demo", path=bare_machine(tmp_path))
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert line.startswith("apt-get install --no-install-recommends ")
    assert line.split()[3:] == [
        "python3",
        "python3-venv",
        "squashfs-tools",
        "mmdebstrap",
        "uidmap",
        "charliecloud",
    ]


def test_a_virtual_environment_needs_python_alone(tmp_path: Path) -> None:
    assert run("venv", path=bare_machine(tmp_path)).stdout.split()[3:] == ["python3", "python3-venv"]


def test_any_container_runtime_will_do(tmp_path: Path) -> None:
    path = bare_machine(tmp_path)
    shutil.copy(tmp_path / "id", tmp_path / "podman")
    assert "charliecloud" not in run("demo", path=path).stdout


def test_a_docker_without_a_daemon_is_no_runtime(tmp_path: Path) -> None:
    path = bare_machine(tmp_path)
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    assert "charliecloud" in run("demo", path=path).stdout


def test_the_test_profile_wants_every_part_once(tmp_path: Path) -> None:
    words = run("test", "demo", "bench", path=bare_machine(tmp_path)).stdout.split()[3:]
    assert len(words) == len(set(words))
    assert {"podman", "siftool", "busybox-static", "tcsh", "nodejs", "npm", "slurm-wlm-torque"} <= set(words)


def test_an_unknown_profile_is_refused() -> None:
    assert run("everything").returncode == 2
    assert run().returncode == 2

"""What runs beside the payload: the rule of its progress, and the command that has it save its state and end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.job_templates.local_attempt import PATIENCE, Attempt, processes_about, until

TIME = r"^Time = ([0-9.e+-]+)"


def values(attempt: Attempt) -> list[str]:
    """The values that were reported, in order."""
    return [line["value"] for line in attempt.lines("status.jsonl") if line["phase"] == "progress"]


def test_the_last_matching_line_of_a_growing_file_is_reported_while_the_payload_runs(attempt: Attempt):
    attempt.stage(
        'echo "Time = 0.5"; echo "Time = 1"; while [ ! -e on ]; do sleep 0.05; done; echo "Time = 2.5e+0"',
        progress_file="payload.out",
        progress_pattern=TIME,
        stores=(),
        transfers=(),
    )
    script = attempt.start()
    until(lambda: values(attempt) == ["1"], "the first report")
    (attempt.folder / "on").touch()
    assert script.wait(PATIENCE) == 0
    assert values(attempt) == ["1", "2.5e+0"]
    assert attempt.phases == ["claimed", "running", "progress", "payload_ended", "progress", "ended"] or (
        attempt.phases == ["claimed", "running", "progress", "progress", "payload_ended", "ended"]
    )
    assert not processes_about(attempt.job)


def test_a_command_is_asked_and_only_what_is_a_number_and_new_is_told(attempt: Attempt):
    command = ("bash", "-c", "cat value && touch asked; echo more; echo no >&2")
    attempt.stage(
        "echo 12 >v; mv v value; while [ ! -e asked ]; do sleep 0.05; done; sleep 0.4; "
        "echo nan >v; mv v value; rm asked; "
        "while [ ! -e asked ]; do sleep 0.05; done; sleep 0.4",
        progress_command=command,
        stores=(),
        transfers=(),
    )
    assert attempt.run() == 0
    assert values(attempt) == ["12"]
    assert not processes_about(attempt.job)


def test_a_command_that_never_ends_is_ended_with_the_payload_and_nothing_is_left(attempt: Attempt):
    attempt.stage(
        "while [ ! -e asked ]; do sleep 0.05; done",
        progress_command=("bash", "-c", "trap '' TERM; touch asked; setsid sleep 300 & sleep 300"),
        stores=(),
        transfers=(),
    )
    assert attempt.run() == 0
    assert values(attempt) == []
    assert not processes_about(attempt.job)


def test_what_the_progress_command_started_does_not_outlive_a_killed_script(attempt: Attempt):
    attempt.stage(
        "while [ ! -e asked ]; do sleep 0.05; done; touch up; sleep 300",
        progress_command=("bash", "-c", "touch asked; sleep 300"),
    )
    script = attempt.start()
    until((attempt.folder / "up").exists, "the command runs")
    os.kill(script.pid, signal.SIGKILL)
    script.wait()
    until(lambda: not processes_about(attempt.job), "everything has ended")


def read(bash, folder: Path, pattern: str, *, seen: int = 0, last: str = "") -> list[str]:
    """Evaluate a rule about ``<folder>/log`` once."""
    found = bash(
        f"gw_folder={folder} gw_control={folder} gw_progress_file=log gw_progress_seen={seen}\n"
        f"gw_progress_pattern='{pattern}'\ngw_read_progress '{last}'",
        "beside.sh",
    )
    assert found.stderr == b""
    return found.stdout.decode().split("\n")[:-1] if found.returncode == 0 else []


def test_a_torn_last_line_waits_until_it_is_whole_or_the_payload_has_ended(bash, tmp_path: Path):
    (tmp_path / "log").write_text("Time = 1\nTime = 12")
    assert read(bash, tmp_path, TIME) == ["1", "18"]
    assert read(bash, tmp_path, TIME, last="yes") == ["12", "18"]
    assert read(bash, tmp_path, TIME, seen=18, last="yes") == ["12", "18"]


def test_nothing_new_is_not_read_again_and_a_file_that_shrank_is_read_from_its_start(bash, tmp_path: Path):
    (tmp_path / "log").write_text("Time = 1\n")
    assert read(bash, tmp_path, TIME, seen=9) == []
    assert read(bash, tmp_path, TIME, seen=5000) == ["1", "9"]
    (tmp_path / "log").unlink()
    assert read(bash, tmp_path, TIME) == []


def test_bars_that_are_drawn_over_and_bytes_that_are_no_text_are_read_too(bash, tmp_path: Path):
    (tmp_path / "log").write_bytes(b"\xff\0 3 %\rdone: 45 %\rdone: 5")
    assert read(bash, tmp_path, "([0-9]+) %$")[0] == "45"


def test_only_the_end_of_a_large_file_is_read_and_never_half_a_line(bash, tmp_path: Path):
    lines = "".join(f"step {number}\n" for number in range(100_000))
    (tmp_path / "log").write_text(lines + "x" * 65_000 + "1999\nlast\n")
    assert read(bash, tmp_path, "^step ([0-9]+)")[0] == "99999"
    (tmp_path / "log").write_text("12345" + "6" * 70_000 + "\n")
    assert read(bash, tmp_path, "^([0-9])") == ["", "70006"]


def test_a_link_to_a_pipe_does_not_hold_the_rule_up(bash, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "log").symlink_to("pipe")
    assert read(bash, tmp_path, TIME) == []


def test_a_payload_is_asked_to_save_before_it_is_told_to_end(attempt: Attempt):
    attempt.stage(
        "touch up; while [ ! -e stop ]; do sleep 0.05; done; echo state >checkpoint; sleep 2; exit 0",
        save_command=("touch", "stop"),
        grace=20.0,
    )
    script = attempt.start()
    until((attempt.folder / "up").exists, "the payload is up")
    attempt.say("stop")
    assert script.wait(PATIENCE) == 0
    assert (attempt.final["outcome"], attempt.final["reason"]) == ("stopped", "cancelled_by_user")
    assert attempt.stored("checkpoint").read_text() == "state\n"
    assert attempt.phases == [
        "claimed",
        "running",
        "stopping",
        "saving",
        "saved",
        "payload_ended",
        "syncing",
        "ended",
    ]
    assert [line["exit_status"] for line in attempt.lines("status.jsonl") if line["phase"] == "saved"] == [0]


def test_at_the_walltime_a_command_that_hangs_or_fails_takes_only_its_share(attempt: Attempt):
    attempt.stage(
        "trap 'echo told >told; exit 5' TERM; while :; do sleep 0.05; done",
        save_command=("sleep", "300"),
        grace=2.0,
        walltime=20,
        reserve=10.0,
    )
    assert attempt.run() == 5
    assert attempt.final["reason"] == "walltime"
    assert attempt.stored("told").exists()
    assert not processes_about(attempt.job)


def test_a_saving_command_that_fails_leads_to_the_ordinary_end_at_once(attempt: Attempt):
    attempt.stage(
        "trap 'exit 5' TERM; touch up; while :; do sleep 0.05; done",
        save_command=("bash", "-c", "echo sorry; exit 3"),
        grace=60.0,
        stores=(),
        transfers=(),
    )
    script = attempt.start()
    until((attempt.folder / "up").exists, "the payload is up")
    attempt.say("stop")
    assert script.wait(PATIENCE) == 5
    assert (attempt.control / "save.log").read_text() == "sorry\n"
    assert "status 3" in attempt.log()

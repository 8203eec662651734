"""lib/host.sh by itself: ending the whole tree of a payload that runs on the node."""

from __future__ import annotations

import shutil
import subprocess

import pytest

START = """
gw_open_silence; gw_job=job-$$ gw_attempt=1 gw_folder=/tmp gw_env_names=() gw_env_values=()
start() { set -m; (set +m; gw_host_run) >/dev/null 2>&1 </dev/null & gw_payload_pid=$!; set +m; }
settle() { for _ in {1..100}; do gw_host_pids; ((${#gw_pids[@]} >= $1)) && return; gw_pause 0.05; done; }
"""


@pytest.mark.parametrize(
    ("command", "processes"),
    [
        ("sleep 100", 1),
        ("sleep 100 & sleep 100", 3),
        ("trap '' TERM; sleep 100; sleep 100", 2),
        ("setsid sleep 100 & sleep 100", 3),
        ("(setsid sleep 100 &) ; sleep 100", 3),
        ("env -i setsid sleep 100 & sleep 100", 3),
    ],
)
def test_everything_of_the_payload_ends(bash, command, processes):
    text = f"""{START}
    gw_command=(bash -c {command!r}'; :'); start; settle {2 if processes == 1 else processes}
    before=(${{gw_pids[@]}}); gw_host_stop 0; echo status $?
    gw_host_alive || echo none; for pid in ${{before[@]}}; do gw_process $pid && echo "left $pid"; done; :"""
    answer = bash(text, "records.sh", "host.sh")
    assert answer.stdout == b"status 0\nnone\n"


def test_the_first_process_comes_first_so_that_it_never_sees_its_children_forced(bash):
    text = f"""{START}
    gw_command=(bash -c 'for i in {{1..20}}; do sleep 100 & done; wait')
    for _ in 1 2 3 4; do
      start; settle 21; [ "${{gw_pids[0]}}" = "$gw_payload_pid" ] && echo "first of ${{#gw_pids[@]}}"; gw_host_stop 0
    done"""
    assert bash(text, "records.sh", "host.sh").stdout == b"first of 21\n" * 4


def test_a_payload_that_ends_on_request_is_not_forced(bash, tmp_path):
    mark = tmp_path / "mark"
    text = f"""{START}
    gw_command=(bash -c 'trap "echo bye >{mark}; exit 7" TERM; echo >{mark}.up; while :; do sleep 0.05; done'); start
    until [ -e {mark}.up ]; do gw_pause 0.05; done
    gw_host_stop 10; wait $gw_payload_pid; echo $?"""
    answer = bash(text, "records.sh", "host.sh")
    assert answer.stdout == b"7\n"
    assert mark.read_text() == "bye\n"


def test_a_process_with_a_hostile_name_disturbs_nobody(bash, tmp_path):
    hostile = tmp_path / "a\nb) Z 1"
    shutil.copy(shutil.which("sleep"), hostile)
    other = subprocess.Popen([hostile, "60"])
    try:
        text = f"""{START}
        gw_command=(bash -c 'sleep 100; :'); start; settle 2
        gw_process {other.pid} && echo seen; gw_host_stop 0; echo status $?"""
        answer = bash(text, "records.sh", "host.sh")
    finally:
        other.kill()
        other.wait()
    assert answer.stdout == b"seen\nstatus 0\n"
    assert b"unbound" not in answer.stderr


@pytest.mark.parametrize("command", ["exit", "gw_host_stop", "eval", "-x", "", "a=b", "no such program"])
def test_a_command_never_names_a_function_or_builtin_of_the_script(bash, command):
    text = f"""{START}
    gw_command=("$COMMAND" x); start; wait $gw_payload_pid; echo $?"""
    answer = bash(text, "records.sh", "host.sh", COMMAND=command)
    assert answer.stdout == b"127\n"

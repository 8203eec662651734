"""The whole batch script, run by bash as a scheduler runs it, with the payload on the host."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from gateway.model.specification import Image
from tests.job_templates.local_attempt import PATIENCE, Attempt, processes_about, until


def test_a_payload_that_succeeds_is_recorded_and_its_outputs_are_in_the_store(attempt: Attempt):
    attempt.stage("echo out; echo err >&2; mkdir VTK; echo data >VTK/a.vtk; echo log >log.txt")
    assert attempt.run() == 0
    final = attempt.final
    assert (final["outcome"], final["exit_code"], final["reason"], final["message"]) == ("ended", 0, None, None)
    assert (final["version"], final["job"], final["attempt"], final["scheduler_id"]) == (
        1,
        attempt.job,
        1,
        "17.server",
    )
    assert final["passes"] == [{"store": "blobs", "state": "complete", "exit_status": 0}]
    assert final["manifest"] is True
    assert final["runtime"] == "host"
    assert final["claimed_at"] <= final["payload_started_at"] <= final["payload_ended_at"] <= final["ended_at"]
    assert f"token={final['token']}\n" in (attempt.control / "claim").read_text()
    assert attempt.phases == ["claimed", "running", "payload_ended", "syncing", "ended"]
    assert (attempt.control / "payload.out").read_text() == "out\n"
    assert (attempt.control / "payload.err").read_text() == "err\n"
    assert attempt.stored("VTK/a.vtk").read_text() == "data\n"
    assert not attempt.stored(".gateway").exists()
    left = {path.name for path in attempt.control.iterdir()}
    assert not left & {"credentials", "reserve"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in attempt.control.glob("*.json*"))
    assert not processes_about(attempt.job)


def test_the_exit_code_of_the_payload_is_the_scripts(attempt: Attempt):
    assert attempt.stage("echo partial >result; exit 3").run() == 3
    final = attempt.final
    assert (final["outcome"], final["exit_code"], final["reason"]) == ("ended", 3, "exit_code")
    assert attempt.stored("result").read_text() == "partial\n"


def test_a_killed_payload_is_told_from_one_that_ended(attempt: Attempt):
    assert attempt.stage("echo before >result; kill -KILL $$").run() == 137
    final = attempt.final
    assert (final["outcome"], final["exit_code"], final["reason"]) == ("ended", 137, "signalled")
    assert "KILL" in final["message"]
    assert attempt.stored("result").read_text() == "before\n"


def test_a_program_that_does_not_exist_is_an_exit_code(attempt: Attempt):
    assert attempt.stage(command=("no-such-program", "x")).run() == 127
    assert attempt.final["reason"] == "exit_code"
    assert b"no-such-program" in (attempt.control / "payload.err").read_bytes()


def test_at_the_deadline_every_line_written_so_far_is_in_the_store(attempt: Attempt):
    attempt.stage(
        "for ((i = 0; ; i++)); do echo line $i >>lines; sleep 0.2; done", walltime=24, reserve=12.0, sync_interval=1.0
    )
    attempt.run()
    final = attempt.final
    assert (final["outcome"], final["reason"]) == ("stopped", "walltime")
    lines = (attempt.folder / "lines").read_text().splitlines()
    assert lines == [f"line {i}" for i in range(len(lines))]
    assert len(lines) > 10
    assert attempt.stored("lines").read_text().splitlines() == lines
    assert final["passes"][0]["state"] == "complete"
    assert attempt.phases == ["claimed", "running", "stopping", "payload_ended", "syncing", "ended"]


def test_the_reserve_is_at_most_half_of_the_walltime(attempt: Attempt):
    attempt.stage("sleep 1; echo end >end", walltime=24, reserve=3600.0)
    assert attempt.run() == 0
    assert attempt.stored("end").exists()


def test_the_word_stop_ends_a_running_payload_gracefully(attempt: Attempt):
    attempt.stage("trap 'echo saved >state; exit 9' TERM; touch up; while :; do sleep 0.05; done")
    script = attempt.start()
    until((attempt.folder / "up").exists, "the payload is up")
    attempt.say("stop")
    assert script.wait(PATIENCE) == 9
    final = attempt.final
    assert (final["outcome"], final["exit_code"], final["reason"]) == ("stopped", 9, "cancelled_by_user")
    assert attempt.stored("state").read_text() == "saved\n"


def test_a_payload_that_ignores_the_request_is_forced_with_all_its_children(attempt: Attempt):
    attempt.stage(
        "trap '' TERM; setsid sleep 300 & for i in {1..20}; do sleep 300 & done; touch up; wait; wait", grace=1.0
    )
    script = attempt.start()
    until((attempt.folder / "up").exists, "the payload is up")
    attempt.say("stop")
    assert script.wait(PATIENCE) == 137
    assert attempt.final["reason"] == "cancelled_by_user"
    assert not processes_about(attempt.job)


def test_the_word_stop_before_the_start_leaves_the_payload_unstarted(attempt: Attempt):
    attempt.stage("touch ran").say("stop")
    assert attempt.run() == 1
    final = attempt.final
    assert (final["outcome"], final["exit_code"], final["reason"]) == ("not_started", None, "cancelled_by_user")
    assert not (attempt.folder / "ran").exists()
    assert (final["passes"], final["manifest"]) == ([], False)


def test_a_signal_to_every_process_of_the_session_keeps_outputs_and_record(attempt: Attempt):
    attempt.stage("trap 'echo saved >state; exit 0' TERM; touch up; while :; do sleep 0.05; done", sync_interval=1.0)
    script = attempt.start()
    until((attempt.folder / "up").exists, "the payload is up")
    until(lambda: attempt.sync_words().count("pass") >= 1, "a background pass")
    for pid in processes_about(str(attempt.base)):
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(pid) == script.pid:
                os.kill(pid, signal.SIGTERM)
    assert script.wait(PATIENCE) == 0
    final = attempt.final
    assert (final["outcome"], final["exit_code"], final["reason"]) == ("stopped", 0, "terminated")
    assert attempt.stored("state").read_text() == "saved\n"
    assert final["passes"][0]["state"] == "complete"


def test_a_signal_to_every_process_of_the_job_keeps_outputs_and_record(attempt: Attempt):
    """As Slurm does it: the syncer, though in another session, gets the signal too."""
    attempt.stage("echo data >data; touch up; sleep 300", sync_interval=1.0)
    script = attempt.start()
    until((attempt.folder / "up").exists, "the payload is up")
    until(lambda: attempt.sync_words().count("pass") >= 1, "a background pass")
    for _ in range(2):
        for pid in processes_about(attempt.job):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    script.wait(PATIENCE)
    assert (attempt.final["outcome"], attempt.final["reason"]) == ("stopped", "terminated")
    assert attempt.stored("data").exists()


def test_a_signal_during_a_graceful_stop_hurries_it(attempt: Attempt):
    attempt.stage("trap '' TERM; touch up; sleep 300; sleep 300", grace=1000.0, walltime=4000, kill_delay=4.0)
    script = attempt.start()
    until((attempt.folder / "up").exists, "the payload is up")
    attempt.say("stop")
    attempt.wait_for("stopping")
    os.kill(script.pid, signal.SIGTERM)
    assert script.wait(PATIENCE) == 137
    assert attempt.final["reason"] == "cancelled_by_user"


def test_a_second_submission_yields_and_the_payload_runs_once(attempt: Attempt):
    attempt.stage("echo run >>runs; until [ -e go ]; do sleep 0.05; done")
    first = attempt.start("1.server")
    until(lambda: attempt.sync_words() == ["idle"], "the syncer is up")
    before = sorted(path.name for path in attempt.control.iterdir())
    assert attempt.run("2.server") == 0
    assert sorted(path.name for path in attempt.control.iterdir()) == before
    (attempt.folder / "go").touch()
    assert first.wait(PATIENCE) == 0
    assert (attempt.folder / "runs").read_text() == "run\n"
    assert attempt.final["scheduler_id"] == "1.server"
    assert len({line["token"] for line in attempt.lines("status.jsonl")}) == 1
    assert "yielded: 1.server holds the claim" in attempt.log()
    assert attempt.run("3.server") == 0
    assert attempt.final["scheduler_id"] == "1.server"


def test_a_rerun_by_the_scheduler_takes_over_and_the_first_run_stops(attempt: Attempt):
    attempt.stage("echo run >>runs; [ $(wc -l <runs) = 2 ] || sleep 300")
    first = attempt.start()
    attempt.wait_for("running")
    token = attempt.lines("status.jsonl")[0]["token"]
    until((attempt.folder / "runs").exists, "the payload is up")
    assert attempt.run() == 0
    final = attempt.final
    assert final["token"] != token
    assert {line["token"] for line in attempt.lines("run-1/status.jsonl")} == {token}
    assert (attempt.control / "run-1" / "payload.out").exists()
    assert attempt.phases[0] == "claimed"
    assert first.wait(PATIENCE) == 0
    assert attempt.final == final
    assert not processes_about(attempt.job)
    assert "superseded" in (attempt.control / "run-1" / "script.log").read_text()


def test_a_rerun_of_an_attempt_that_is_over_yields_and_changes_nothing(attempt: Attempt):
    attempt.stage("echo run >>runs; exit 3")
    assert attempt.run() == 3
    final = attempt.final
    assert attempt.run() == 0
    assert attempt.final == final
    assert (attempt.folder / "runs").read_text() == "run\n"
    assert not (attempt.control / "run-1").exists()


def test_the_payloads_environment_is_what_was_asked_for_and_what_programs_need(attempt: Attempt):
    secret = "s3cr3t-of-the-login-session"
    attempt.stage(
        command=("/usr/bin/env", "-0"),
        env={"OMP_NUM_THREADS": "4", "RANDOM": "not a number", "SECONDS": "x", "PATH": "/usr/bin:/bin"},
    )
    attempt.run(
        AWS_SECRET_ACCESS_KEY=secret, RCLONE_X=secret, http_proxy=secret, CUDA_VISIBLE_DEVICES="1", LC_ALL="C.UTF-8"
    )
    raw = (attempt.control / "payload.out").read_text()
    found = dict(item.split("=", 1) for item in raw.split("\0") if item)
    assert secret not in raw
    assert found["HOME"] == str(attempt.folder)
    assert found["OMP_NUM_THREADS"] == "4"
    assert found["RANDOM"] == "not a number"
    assert found["CUDA_VISIBLE_DEVICES"] == "1"
    assert found["PBS_JOBID"] == "17.server"
    assert found["LC_ALL"] == "C.UTF-8"
    assert not [name for name in found if name.startswith(("gw_", "GW_", "pull_", "RCLONE"))]


def test_the_payload_gets_no_descriptor_and_not_the_scripts_umask(attempt: Attempt):
    attempt.stage("ls /proc/self/fd >fds; readlink /proc/$$/fd/0; umask; cat")
    old = os.umask(0o027)
    try:
        assert attempt.run() == 0
    finally:
        os.umask(old)
    # 3 is the folder that ls reads
    assert (attempt.folder / "fds").read_text().split() == ["0", "1", "2", "3"]
    assert (attempt.control / "payload.out").read_text() == "/dev/null\n0027\n"
    assert (attempt.folder / "fds").stat().st_mode & 0o777 == 0o640


def test_credentials_are_in_no_environment_argument_list_or_log_but_rclones(attempt: Attempt):
    secret = "k3y-0f-the-st0re"
    attempt.credentials += [f"RCLONE_CONFIG_S0_DESCRIPTION={secret}", "EVIL=$(touch pwned)", "PATH=/nowhere", "# x"]
    attempt.stage("env; cat /proc/$PPID/environ; touch up; until [ -e go ]; do sleep 0.05; done", sync_interval=1.0)
    script = attempt.start()
    until((attempt.folder / "up").exists, "the payload is up")
    seen: set[str] = set()
    until(lambda: seen.update(processes_about(secret).values()) or attempt.sync_words().count("pass") > 2, "passes")
    (attempt.folder / "go").touch()
    assert script.wait(PATIENCE) == 0
    assert all(" copy " in arguments or arguments.startswith("/bin/bash") for arguments in seen)
    assert not [arguments for arguments in seen if secret in arguments]
    texts = [path for path in attempt.control.rglob("*") if path.is_file()]
    assert not [path.name for path in texts if secret.encode() in path.read_bytes()]
    assert not list(attempt.base.rglob("pwned"))
    assert not Path("/pwned").exists()


HOSTILE = [
    "",
    "-rf",
    "--",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned;",
    "' ; touch pwned ; '",
    '" ; touch pwned ; "',
    "a\nb\r\n#PBS -q other\n## x\n% for x in y:\n",
    "\r\n",
    "${1+1} <% import os %> ${os.getcwd()} <%doc> \\\n",
    "tab\there \x01\x1b[31m",
    "élève 漢字 \U0001f600",
    "../../etc",
    "*?[a-z]{1,2}~!#&|<>",
    "x" * 65536,
]


def test_hostile_values_are_delivered_byte_for_byte_and_none_is_executed(attempt: Attempt):
    names = [f"V{i}" for i in range(len(HOSTILE))]
    printer = 'printf "%s\\0" "$@"; for n in ${!V@}; do printf "%s=%s\\0" "$n" "${!n}"; done'
    attempt.stage(command=("bash", "-c", printer, "printer", *HOSTILE), env=dict(zip(names, HOSTILE, strict=True)))
    assert attempt.run() == 0
    items = (attempt.control / "payload.out").read_bytes().decode().split("\0")[:-1]
    assert items[: len(HOSTILE)] == HOSTILE
    assert dict(item.split("=", 1) for item in items[len(HOSTILE) :]) == dict(zip(names, HOSTILE, strict=True))
    assert not list(attempt.base.rglob("pwned"))
    assert (attempt.control / "payload.err").read_bytes() == b""
    assert attempt.log() == ""


@pytest.mark.parametrize("text", HOSTILE[1:13])
def test_hostile_configuration_reaches_the_script_as_it_is(attempt: Attempt, text: str):
    attempt.stage(
        "true",
        preamble=None,
        image_cache=text,
        binds=(text,),
        image=None,
        rclone=None,
        stores=(),
        transfers=(),
        runtimes=(text, "host"),
    )
    script = attempt.control / "job.sh"
    shown = script.read_text().replace(
        'gw_main "$@"; exit', 'printf "%s\\0" "$gw_image_cache" "$gw_binds" "$gw_runtimes"'
    )
    answer = subprocess.run(["/bin/bash"], input=os.fsencode(shown), capture_output=True, cwd=attempt.base, check=True)
    assert answer.stdout.decode().split("\0")[:-1] == [text] * 3
    assert attempt.run() == 0
    assert not list(attempt.base.rglob("pwned"))


def test_space_for_the_final_record_is_kept_before_the_payload_starts(attempt: Attempt):
    attempt.stage(f"wc -c <{attempt.control}/reserve")
    assert attempt.run() == 0
    assert (attempt.control / "payload.out").read_text() == "65536\n"


def test_a_payload_without_space_for_its_final_record_is_not_started(attempt: Attempt):
    attempt.stage("touch ran")
    (attempt.control / "reserve").mkdir()
    assert attempt.run() == 1
    assert attempt.final["message"] == "there is no space for the final record"
    assert (attempt.final["outcome"], attempt.final["reason"]) == ("not_started", "node_failed")
    assert not (attempt.folder / "ran").exists()


def test_without_stores_there_is_no_pass_and_no_manifest(attempt: Attempt):
    attempt.stage("true", stores=(), transfers=(), rclone=None)
    assert attempt.run() == 0
    assert (attempt.final["passes"], attempt.final["manifest"]) == ([], False)
    assert attempt.phases == ["claimed", "running", "payload_ended", "ended"]
    assert not (attempt.control / "sync.state").exists()


def test_a_node_without_a_runtime_says_which_were_tried(attempt: Attempt):
    library = 'gw_odd_one_available() { gw_problem="odd is \\"missing\\""; return 1; }'
    attempt.stage("touch ran", runtimes=("odd-one", "unheard"), runtime_libraries={"odd-one": library})
    assert attempt.run() == 1
    assert (attempt.final["outcome"], attempt.final["reason"]) == ("not_started", "runtime_missing")
    assert attempt.final["message"] == 'odd-one: odd is "missing"; unheard: not known to this script'
    assert not (attempt.folder / "ran").exists()


RUNTIME = """
gw_fake_available() { return 0; }
gw_fake_prepare() { gw_root=$1; [ -s "$1" ] || { gw_problem="no image at $1"; return 1; }; }
gw_fake_run() { exec bash -c 'cat "$1"; shift; exec "$@"' _ "$gw_root" "${gw_command[@]}"; }
gw_fake_stop() { kill -KILL -- "-$gw_payload_pid"; }
gw_fake_alive() { kill -0 "$gw_payload_pid" 2>/dev/null; }
"""


def test_an_image_is_pulled_verified_and_handed_to_the_runtime(attempt: Attempt, tmp_path: Path):
    image = tmp_path / "image.sif"
    image.write_bytes(b"hsqs image\n")
    attempt.stage("true", image=Image(ref=str(image)), runtimes=("fake",), runtime_libraries={"fake": RUNTIME})
    assert attempt.run() == 0
    assert (attempt.control / "payload.out").read_bytes() == b"hsqs image\n"
    assert attempt.phases[:4] == ["claimed", "pulling", "pulled", "running"]
    assert attempt.final["image"]["digest"].startswith("sha256:")
    assert attempt.final["image"]["cached"] in (True, False)
    assert attempt.final["runtime"] == "fake"


@pytest.mark.parametrize("how", ["word", "signal"])
def test_a_stop_while_the_image_is_pulled_leaves_the_payload_unstarted(attempt: Attempt, how: str):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/x.sif"
        attempt.stage("true", image=Image(ref=address), runtimes=("fake",), runtime_libraries={"fake": RUNTIME})
        script = attempt.start()
        attempt.wait_for("pulling")
        if how == "word":
            attempt.say("stop")
        else:
            os.kill(script.pid, signal.SIGTERM)
        assert script.wait(PATIENCE) == 1
    final = attempt.final
    expected = "cancelled_by_user" if how == "word" else "terminated"
    assert (final["outcome"], final["reason"], final["exit_code"]) == ("not_started", expected, None)
    assert attempt.phases[-1] == "ended"
    assert attempt.control.joinpath("credentials").exists() is (how == "signal")  # it may be run again


def test_a_wrong_digest_is_a_clear_end_before_the_payload(attempt: Attempt, tmp_path: Path):
    image = tmp_path / "image.sif"
    image.write_bytes(b"hsqs image\n")
    attempt.stage(
        "true",
        image=Image(ref=str(image), digest="sha256:" + "0" * 64),
        runtimes=("fake",),
        runtime_libraries={"fake": RUNTIME},
    )
    assert attempt.run() == 1
    final = attempt.final
    assert (final["outcome"], final["reason"], final["exit_code"]) == ("not_started", "image_pull_failed", None)
    assert str(image) in final["message"]
    assert final["image"] is None


def test_the_preamble_runs_without_the_scripts_strictness_and_may_do_odd_things(attempt: Attempt):
    preamble = (
        "set -e\necho $unset_variable\nexport TMPDIR=/var/tmp # it's\nfalse\ntrap '' TERM\nIFS=x\numask 0\n#PBS -q x"
    )
    attempt.stage("echo $TMPDIR; until [ -e go ]; do sleep 0.05; done", preamble=preamble)
    script = attempt.start()
    attempt.wait_for("running")
    said = attempt.control / "payload.out"
    until(lambda: said.exists() and said.read_text() == "/var/tmp\n", "the preamble's variable")
    os.kill(script.pid, signal.SIGTERM)
    script.wait(PATIENCE)
    assert attempt.final["reason"] == "terminated"
    assert (attempt.control / "final.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("preamble", ["exit 5", "if then (", "set -u; echo ${nothing?gone}"])
def test_a_broken_preamble_never_leaves_an_attempt_without_a_record(attempt: Attempt, preamble: str):
    attempt.stage("true", preamble=preamble)
    status = attempt.run()
    if attempt.final["outcome"] == "ended":
        assert status == 0
    else:
        assert (attempt.final["outcome"], attempt.final["reason"]) == ("not_started", "node_failed")
        assert status == 1


def test_an_unknown_scheduler_id_ends_the_script_before_the_claim(attempt: Attempt):
    attempt.stage("touch ran")
    assert attempt.run("") == 78
    assert not (attempt.control / "claim").exists()
    assert "unknown" in (attempt.control / "scheduler.err").read_text()


def test_a_plain_machine_claims_with_its_own_process(attempt: Attempt):
    attempt.stage("true", scheduler_kind="direct", directives=[])
    script = attempt.start()
    assert script.wait(PATIENCE) == 0
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    pid, start, own = attempt.final["scheduler_id"].split(".")
    assert (int(pid), own) == (script.pid, boot)
    assert start.isdigit()


def test_the_payload_can_run_on_the_nodes_own_disk(attempt: Attempt, tmp_path: Path):
    scratch = tmp_path / "local disk"
    scratch.mkdir()
    (attempt.folder / "input").write_text("in")
    attempt.stage("pwd; cat input; ln -s input link; echo out >out", scratch="${GW_TEST_SCRATCH}", sync_interval=1.0)
    assert attempt.run(GW_TEST_SCRATCH=str(scratch)) == 0
    assert (attempt.control / "payload.out").read_text() == f"{scratch}/{attempt.job}.1\nin"
    assert (attempt.folder / "out").read_text() == "out\n"
    assert (attempt.folder / "link").is_symlink()
    assert attempt.stored("out").read_text() == "out\n"
    assert list(scratch.iterdir()) == []
    assert not (attempt.control / "scratch").exists()


def test_results_that_cannot_be_copied_back_stay_on_the_nodes_own_disk_and_the_script_says_where(
    attempt: Attempt, tmp_path: Path
):
    scratch = tmp_path / "disk"
    scratch.mkdir()
    (attempt.folder / "out").mkdir()
    attempt.stage("rmdir out; echo out >out", scratch=str(scratch))
    assert attempt.run() == 0
    own = scratch / f"{attempt.job}.1"
    assert (own / "out").read_text() == "out\n"
    assert (attempt.control / "scratch").read_text() == f"{os.uname().nodename} {own}\n"
    assert "not all results could be copied back" in attempt.final["message"]


def test_a_scratch_folder_that_is_not_there_means_in_place(attempt: Attempt):
    attempt.stage("pwd", scratch="$GW_TEST_SCRATCH/x")
    assert attempt.run(GW_TEST_SCRATCH="") == 0
    assert (attempt.control / "payload.out").read_text() == f"{attempt.folder}\n"
    assert "there is no scratch folder $GW_TEST_SCRATCH/x here" in attempt.log()


def test_every_json_record_is_ascii_and_parses(attempt: Attempt):
    attempt.stage("touch $'caf\\xc3\\xa9' $'bad\\xff' $'new\\nline' '\"q\"'; exit 4", runtimes=('é"\n', "host"))
    assert attempt.run() == 4
    assert (attempt.control / "final.json").read_bytes().isascii()
    paths = {item["Path"] for item in attempt.manifest["transfers"][0]["files"]}
    assert {"café", '"q"'} <= paths
    assert len(paths) == 4
    for line in (attempt.control / "sync.jsonl").read_text(errors="surrogateescape").splitlines():
        json.loads(line)

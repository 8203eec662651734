"""The syncer: background passes, the final pass, the manifest, and its own end."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.job_templates.local_attempt import ALL_FILES, PATIENCE, Attempt, processes_about, until


def passes(attempt: Attempt) -> list[dict]:
    """The syncer's own lines."""
    return [line for line in attempt.lines("sync.jsonl") if "kind" in line]


def test_outputs_appear_in_the_store_while_the_payload_runs(attempt: Attempt):
    attempt.stage("mkdir t; echo 1 >t/1; until [ -e go ]; do sleep 0.05; done", sync_interval=1.0, sync_settle=0.2)
    script = attempt.start()
    until(attempt.stored("t/1").exists, "the first file")
    (attempt.folder / "late").write_text("2")
    until(attempt.stored("late").exists, "a later file")
    assert attempt.phases[-1] == "running"
    (attempt.folder / "go").touch()
    assert script.wait(PATIENCE) == 0
    kinds = [line["kind"] for line in passes(attempt)]
    assert kinds[0] == "full"
    assert "background" in kinds
    assert kinds[-1] == "final"
    assert attempt.sync_words()[0] == "idle"
    assert attempt.sync_words()[-2:] == ["final", "done"]


def test_a_file_that_still_changes_waits_for_the_final_pass(attempt: Attempt):
    attempt.stage("until [ -e go ]; do echo x >>grows; sleep 0.05; done", sync_interval=1.0, sync_settle=30.0)
    script = attempt.start()
    until(lambda: len(passes(attempt)) >= 2, "two passes")
    assert not attempt.stored("grows").exists()
    (attempt.folder / "go").touch()
    assert script.wait(PATIENCE) == 0
    assert attempt.stored("grows").read_bytes() == (attempt.folder / "grows").read_bytes()


def test_each_transfer_has_its_own_folder_filter_and_store_path(attempt: Attempt):
    running = ("+ /**.vtk", "- **")
    attempt.stage(
        "mkdir -p VTK/a; echo 1 >VTK/a/x.vtk; echo 2 >VTK/b.tmp; echo 3 >log; until [ -e go ]; do sleep 0.05; done",
        transfers=(
            attempt.transfer("VTK", "fields", running_filter=running, final_filter=running, content_type="text/plain"),
            attempt.transfer("", "", running_filter=(), final_filter=("+ /log", "- **")),
            attempt.transfer("never", "x"),
        ),
        sync_interval=1.0,
    )
    script = attempt.start()
    until(attempt.stored("fields/a/x.vtk").exists, "the field")
    assert not attempt.stored("log").exists()
    (attempt.folder / "go").touch()
    assert script.wait(PATIENCE) == 0
    found = sorted(str(path.relative_to(attempt.store)) for path in attempt.store.rglob("*") if path.is_file())
    assert found == ["fields/a/x.vtk", "log"]
    first, second, third = attempt.manifest["transfers"]
    assert (first["store"], first["source"], first["exit_status"]) == ("blobs", "VTK", 0)
    assert [item["Path"] for item in first["files"]] == ["a/x.vtk"]
    assert [item["Path"] for item in second["files"]] == ["log"]
    assert (third["files"], third["exit_status"]) == ([], 0)
    digest = first["files"][0]["Hashes"]["sha256"]
    assert digest == "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"


def test_symbolic_links_are_not_followed_out_of_the_folder(attempt: Attempt, tmp_path: Path):
    secret = tmp_path / "outside"
    secret.mkdir()
    (secret / "private").write_text("private")
    attempt.stage(
        f"ln -s {secret} VTK; ln -s {secret}/private file; ln -s {secret} folder; echo 1 >real",
        transfers=(attempt.transfer("VTK", "fields"), attempt.transfer("", "all")),
        sync_interval=1.0,
    )
    assert attempt.run() == 0
    assert sorted(path.name for path in attempt.store.rglob("*") if path.is_file()) == ["real"]
    assert attempt.manifest["transfers"][0]["files"] == []


def test_hostile_file_names_reach_the_store(attempt: Attempt):
    names = [
        "-rf",
        "a b",
        "$(touch pwned)",
        "'q'",
        '"d"',
        "né",
        "a:b",
        "#x",
        "{c}",
        "[1]",
        "new\nline",
        " lead",
        "end ",
    ]
    for name in names:
        (attempt.folder / name).write_text(name)
    (attempt.folder / "né").rename(attempt.folder / "né")
    attempt.stage("true")
    assert attempt.run() == 0
    assert {path.name for path in attempt.store.iterdir()} == {path.name for path in attempt.folder.iterdir()}
    assert len(attempt.manifest["transfers"][0]["files"]) == len(names)
    assert not list(attempt.base.rglob("pwned"))


def test_the_word_sync_asks_for_a_full_pass_now(attempt: Attempt):
    attempt.stage("echo 1 >a; until [ -e go ]; do sleep 0.05; done")
    script = attempt.start()
    attempt.wait_for("running")
    assert attempt.sync_words().count("pass") == 0
    until((attempt.folder / "a").exists, "the file")
    attempt.say("sync")
    until(attempt.stored("a").exists, "the pass")
    assert [line["kind"] for line in passes(attempt)] in ([], ["full"])
    (attempt.folder / "go").touch()
    assert script.wait(PATIENCE) == 0


def test_a_store_that_is_down_and_comes_back_gets_everything(attempt: Attempt):
    attempt.store.write_text("in the way")
    attempt.stage("echo 1 >a; echo 2 >b", sync_interval=1.0)
    script = attempt.start()
    until(lambda: any(line["kind"] == "final" and line["exit_status"] for line in passes(attempt)), "a failed try")
    attempt.store.unlink()
    assert script.wait(PATIENCE) == 0
    assert attempt.final["exit_code"] == 0
    assert attempt.final["passes"] == [{"store": "blobs", "state": "complete", "exit_status": 0}]
    assert attempt.stored("b").read_text() == "2\n"
    assert attempt.sync_words()[-1] == "done"


def test_a_store_that_stays_down_fails_the_pass_and_not_the_payload(attempt: Attempt):
    attempt.store.write_text("in the way")
    second = attempt.base / "other"
    attempt.stage(
        "echo 1 >a",
        stores=("blobs", "fine"),
        transfers=(attempt.transfer(), attempt.transfer(store=1, destination=f"S1:{second}")),
        walltime=16,
        reserve=8.0,
    )
    attempt.credentials.append("RCLONE_CONFIG_S1_TYPE=local")
    attempt.renew()
    assert attempt.run() == 0
    final = attempt.final
    assert (final["outcome"], final["exit_code"]) == ("ended", 0)
    assert [(item["store"], item["state"]) for item in final["passes"]] == [("blobs", "failed"), ("fine", "complete")]
    assert final["passes"][0]["exit_status"] not in (0, None)
    assert (second / "a").exists()
    assert attempt.sync_words()[-1] == "failed"
    assert attempt.manifest["transfers"][0]["exit_status"] != 0
    assert not (attempt.control / "credentials").exists()


def test_renewed_credentials_are_used_by_the_next_pass(attempt: Attempt):
    attempt.credentials = ["RCLONE_CONFIG_S0_TYPE=nonsense"]
    attempt.stage("echo 1 >a; until [ -e go ]; do sleep 0.05; done", sync_interval=1.0)
    script = attempt.start()
    until(lambda: any(line["exit_status"] for line in passes(attempt)), "a failed pass")
    attempt.credentials = ["RCLONE_CONFIG_S0_TYPE=local"]
    attempt.renew()
    until(attempt.stored("a").exists, "the pass with new credentials")
    (attempt.folder / "go").touch()
    assert script.wait(PATIENCE) == 0


def slow_rclone(attempt: Attempt, marker: str) -> Path:
    """A program in rclone's place that stays for ever in `copy`, and writes down that it started; a file to copy."""
    (attempt.folder / "wanted").write_text("1")
    program = attempt.base / "rclone"
    program.write_text(
        "#!/bin/bash\n"
        f'if [[ $1 != copy ]]; then exec {attempt.request.rclone} "$@"; fi\n'
        f': >"{attempt.base}/{marker}"\n'
        'exec -a "rclone $*" sleep 300\n'
    )
    program.chmod(0o755)
    return program


def after_the_scripts_death(attempt: Attempt, **environment: str) -> None:
    attempt.stage("sleep 300", sync_interval=1.0, rclone=str(slow_rclone(attempt, "copying")))
    script = attempt.start(**environment)
    until((attempt.base / "copying").exists, "rclone runs")
    os.kill(script.pid, signal.SIGKILL)
    script.wait()
    until(lambda: not processes_about(attempt.job), "syncer, rclone and payload are gone")
    assert attempt.sync_words()[-1] == "died"
    assert (attempt.control / "credentials").exists()
    assert not (attempt.control / "final.json").exists()


def test_after_the_scripts_death_syncer_rclone_and_payload_end(attempt: Attempt):
    after_the_scripts_death(attempt)


def test_after_the_scripts_death_a_payload_that_pushes_nothing_ends_too(attempt: Attempt):
    attempt.stage("touch begun; sleep 300", stores=(), transfers=(), rclone=None)
    script = attempt.start()
    until((attempt.folder / "begun").exists, "the payload runs")
    os.kill(script.pid, signal.SIGKILL)
    script.wait()
    until(lambda: not processes_about(attempt.job), "the payload is gone")
    assert not (attempt.control / "final.json").exists()


def test_rclone_dies_with_the_syncer(attempt: Attempt):
    attempt.stage(
        "until [ -e go ]; do sleep 0.05; done",
        sync_interval=1.0,
        kill_delay=4.0,
        rclone=str(slow_rclone(attempt, "copying")),
    )
    kill_the_syncer(attempt)


def test_rclone_dies_with_the_syncer_on_nodes_whose_setpriv_is_old(attempt: Attempt):
    old = attempt.base / "bin"
    old.mkdir()
    (old / "setpriv").write_text("#!/bin/sh\nexit 1\n")
    (old / "setpriv").chmod(0o755)
    attempt.stage(
        "until [ -e go ]; do sleep 0.05; done",
        sync_interval=1.0,
        kill_delay=4.0,
        rclone=str(slow_rclone(attempt, "copying")),
    )
    kill_the_syncer(attempt, PATH=f"{old}:{os.environ['PATH']}")


def kill_the_syncer(attempt: Attempt, **environment: str) -> None:
    def copying() -> dict[int, str]:
        return {pid: words for pid, words in processes_about("rclone copy").items() if str(attempt.base) in words}

    script = attempt.start(**environment)
    until((attempt.base / "copying").exists, "rclone runs")
    until(copying, "rclone has its name")
    syncers = [pid for pid, words in processes_about(str(attempt.control)).items() if "job.sh syncer" in words]
    (syncer,) = [pid for pid in syncers if os.getsid(pid) == pid]
    os.kill(syncer, signal.SIGKILL)
    until(lambda: not copying(), "rclone is gone")
    os.kill(script.pid, signal.SIGTERM)
    script.wait(PATIENCE)
    assert attempt.final["reason"] == "terminated"


def test_a_hanging_store_does_not_outlive_the_walltime(attempt: Attempt):
    attempt.stage("sleep 300", walltime=6, reserve=3.0, sync_interval=1.0, rclone=str(slow_rclone(attempt, "copying")))
    attempt.run()
    final = attempt.final
    assert (final["outcome"], final["reason"]) == ("stopped", "walltime")
    assert final["passes"] == [{"store": "blobs", "state": "failed", "exit_status": 143}]
    manifest = json.loads((attempt.control / "manifest.json").read_text()) if final["manifest"] else {"transfers": []}
    assert all(transfer["exit_status"] == 143 for transfer in manifest["transfers"])  # no claim of a whole pass
    assert not processes_about(attempt.job)


def test_signatures_in_addresses_do_not_reach_the_log(attempt: Attempt):
    program = attempt.base / "rclone"
    program.write_text(
        "#!/bin/bash\n"
        """w='{"msg":"Put \\"http://h/c?sv=1\\u0026sig=AbC%2Bd\\u0026se=2\\": refused X-Amz-Signature=Secret1"}'\n"""
        """printf '%s\\n' "$w" >&2\n"""
        "exit 1\n"
    )
    program.chmod(0o755)
    attempt.stage("true", walltime=16, reserve=8.0, rclone=str(program))
    assert attempt.run() == 0
    text = (attempt.control / "sync.jsonl").read_text()
    assert "sv=1\\u0026sig=(hidden)\\u0026se=2" in text
    assert "AbC" not in text
    assert "Secret1" not in text
    assert attempt.lines("sync.jsonl")


def test_the_reserved_folder_never_reaches_the_store(attempt: Attempt):
    assert ALL_FILES[0] == "- /.gateway/**"
    attempt.stage("mkdir .gateway; echo x >.gateway/forged; echo y >y")
    assert attempt.run() == 0
    assert [path.name for path in attempt.store.iterdir()] == ["y"]


def test_a_word_that_arrives_in_pieces_is_understood(bash):
    ended = bash(
        "gw_order='' gw_heard='' gw_next_watch=99999999999\n"
        "{ printf fi; sleep 0.3; printf 'nal 7'; sleep 0.3; printf '7\\nquit\\n'; } | {\n"
        "  for _ in 1 2 3 4 5 6 7 8 9 10; do\n"
        "    gw_sync_tick 0.1\n"
        "    if [[ -n $gw_order ]]; then break; fi\n"
        "  done\n"
        '  echo "$gw_order $gw_final_end"\n'
        "}",
        "records.sh",
        "sync.sh",
    )
    assert (ended.stdout, ended.stderr) == (b"final 77\n", b"")

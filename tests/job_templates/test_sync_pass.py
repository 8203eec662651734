"""What passes send: chunks, files that grow, order at the end, odd names, and what the syncer tells about itself."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import GatewaySettings
from gateway.storage.factory import build_store
from gateway.storage.filters import OutputRule, plan_transfers
from gateway.storage.names import comparable, from_disk
from gateway.storage.stores.base import Place
from testbed.azurite import Azurite
from testbed.seaweed import Seaweed
from tests.job_templates.local_attempt import PATIENCE, Attempt, until

WAIT = "until [ -e go ]; do sleep 0.05; done"
ODD = [
    b"new\nline",
    b"-dash",
    "n\u00e9 composed".encode(),
    "ne\u0301 decomposed".encode(),
    b"trailing space ",
    b" leading space",
    b"#hash",
    b"%41 percent",
    b"[bracket]",
    b"back\\slash",
    b"not \xff utf-8 \xfe",
    b"tab\tand\rreturn",
    b"semi;colon",
    b'quote"quote',
    b"{brace}",
    b"empty",
    b"below/a folder /file",
]


def passes(attempt: Attempt) -> list[dict]:
    """The syncer's own lines."""
    return [line for line in attempt.lines("sync.jsonl") if "kind" in line]


def copies(attempt: Attempt) -> list[str]:
    """The files that rclone says it copied, in order."""
    return [line["object"] for line in attempt.lines("sync.jsonl") if str(line.get("msg")).startswith("Copied")]


def told(attempt: Attempt) -> dict | None:
    """What sync.json says."""
    path = attempt.control / "sync.json"
    return json.loads(path.read_text("ascii")) if path.exists() else None


def backlog(attempt: Attempt) -> int | None:
    """How many files sync.json says are not in the store."""
    return said["stores"][0]["backlog_files"] if (said := told(attempt)) else None


def set_in_library(attempt: Attempt, **values: int) -> None:
    """Change numbers that the libraries begin with."""
    script = attempt.control / "job.sh"
    text = script.read_text()
    for name, value in values.items():
        text, found = re.subn(rf"^{name}=\d+", f"{name}={value}", text, flags=re.MULTILINE)
        assert found == 1
    script.write_text(text)


def go(attempt: Attempt, script: subprocess.Popen[bytes]) -> None:
    """Let the payload end, and wait for the script."""
    (attempt.folder / "go").touch()
    assert script.wait(PATIENCE) == 0


def test_a_followed_file_that_always_grows_is_sent_at_every_pass_and_never_torn(attempt: Attempt):
    attempt.stage(
        f"{{ i=0; while :; do i=$((i+1)); printf 'line %s ' $i; sleep 0.02; echo end; done; }} >log & {WAIT}; kill $!",
        transfers=(attempt.transfer(follow=True),),
        sync_interval=0.2,
        sync_settle=30.0,
    )
    script = attempt.start()
    seen: list[bytes] = []

    def grown() -> bool:
        if attempt.stored("log").exists() and (text := attempt.stored("log").read_bytes()) not in seen:
            seen.append(text)
        return len(seen) >= 3

    until(grown, "three states of the log")
    go(attempt, script)
    assert all(text.endswith(b"end\n") for text in seen)
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen))
    assert attempt.stored("log").read_bytes() == (attempt.folder / "log").read_bytes()
    assert not list(attempt.control.glob("sync.lists*"))


def test_a_followed_file_never_appears_shorter_until_the_end(attempt: Attempt):
    attempt.stage(
        f"printf 'one\\ntwo\\nthr' >log; until [ -e cut ]; do sleep 0.05; done; echo 1 >log; {WAIT}",
        transfers=(attempt.transfer(follow=True),),
        sync_interval=0.2,
    )
    script = attempt.start()
    until(attempt.stored("log").exists, "the log")
    assert attempt.stored("log").read_text() == "one\ntwo\n"
    (attempt.folder / "cut").write_text("\n")
    until(attempt.stored("cut").exists, "a later pass")
    made = len(passes(attempt))
    until(lambda: len(passes(attempt)) > made + 1, "one more pass")
    assert attempt.stored("log").read_text() == "one\ntwo\n"
    go(attempt, script)
    assert attempt.stored("log").read_text() == "1\n"


def test_a_followed_name_is_no_way_out_of_the_folder(attempt: Attempt, tmp_path: Path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "log").write_text("secret\n")
    attempt.stage("true", transfers=(attempt.transfer(follow=True),))
    (attempt.folder / "log").symlink_to(tmp_path / "outside" / "log")
    (attempt.folder / "below").symlink_to(tmp_path / "outside")
    text = (attempt.control / "job.sh").read_text().replace('gw_main "$@"; exit\n', "")
    text += f"gw_source={attempt.folder} gw_lists={attempt.control}\n"
    for name in ("log", "below/log"):
        text += f"gw_follow_copy {name} 7 2026-01-01T00:00:00Z; echo $?\n"
    answer = subprocess.run(["/bin/bash"], input=text.encode(), capture_output=True, check=True)
    assert answer.stdout == b"1\n1\n"


def test_a_file_that_never_settles_is_not_starved(attempt: Attempt):
    attempt.stage(
        f"while :; do echo x >>grows; sleep 0.02; done & echo 1 >calm; {WAIT}; kill $!",
        sync_interval=0.1,
        sync_settle=2.0,
    )
    set_in_library(attempt, gw_sync_late=2)
    script = attempt.start()
    until(attempt.stored("grows").exists, "the file that grows")
    go(attempt, script)
    assert attempt.stored("grows").read_bytes() == (attempt.folder / "grows").read_bytes()


@pytest.mark.parametrize("many", [3, 10, 100])
def test_much_is_listed_in_slices_and_sent_in_chunks(attempt: Attempt, many: int):
    names = [f"f{number}.dat" for number in range(10)] + ["none", "a1.2", "a1.b.3", "d5/x", "d5/7.h5"]
    attempt.stage("mkdir d5; " + "".join(f"echo {name} >{name}; " for name in names) + WAIT, sync_interval=0.2)
    set_in_library(attempt, gw_sync_chunk=4, gw_sync_many=many)
    script = attempt.start()
    until(lambda: backlog(attempt) == 0, "all is sent")
    begins = [line for line in attempt.lines("sync.jsonl") if line.get("begin") == 0 and line["pass"] == 1]
    go(attempt, script)
    assert len(begins) in (0, 4)  # the first pass may have come before the files
    assert sorted(copies(attempt)) == sorted([*names, "go"])
    assert sorted(row["Path"] for row in attempt.manifest["transfers"][0]["files"]) == sorted([*names, "go"])
    assert all(len(row["Hashes"]["sha256"]) == 64 for row in attempt.manifest["transfers"][0]["files"])
    assert not list(attempt.control.glob("sync.lists*"))


def test_a_pass_sends_what_changed_and_nothing_else_also_with_old_times(attempt: Attempt):
    attempt.stage(f"echo 1 >a; echo 1 >b; {WAIT}", sync_interval=0.2)
    script = attempt.start()
    until(lambda: attempt.stored("b").exists() and backlog(attempt) == 0, "the first files")
    (attempt.base / "old").write_text("2")
    os.utime(attempt.base / "old", (1, 1))
    (attempt.base / "old").rename(attempt.folder / "old")
    (attempt.folder / "a").rename(attempt.folder / "renamed")
    until(lambda: attempt.stored("old").exists() and attempt.stored("renamed").exists(), "later files")
    go(attempt, script)
    assert copies(attempt).count("b") == 1
    assert attempt.stored("a").exists()


def test_a_file_that_cannot_be_read_does_not_keep_back_the_others(attempt: Attempt):
    attempt.stage(f"echo 1 >a; {WAIT}", sync_interval=0.2)
    wrapper = attempt.base / "rclone"
    wrapper.write_text(
        f'#!/bin/bash\nif [[ $1 == lsf ]]; then echo broken; exit 1; fi\nexec {attempt.request.rclone} "$@"\n'
    )
    wrapper.chmod(0o755)
    attempt.stage(rclone=str(wrapper))
    script = attempt.start()
    until(attempt.stored("a").exists, "the file")
    assert told(attempt) is None
    go(attempt, script)


def test_what_is_behind_is_told(attempt: Attempt):
    attempt.stage(f"echo 12345 >a; {WAIT}", sync_interval=0.2, sync_settle=600.0)
    script = attempt.start()
    until(lambda: backlog(attempt), "a backlog")
    said = told(attempt)
    assert said is not None
    [store] = said.pop("stores")
    claim = (attempt.control / "claim").read_text()
    assert sorted(said) == ["at", "pass", "token", "version"]
    assert f"token={said['token']}\n" in claim
    oldest = store.pop("oldest")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", oldest)
    assert store == {"store": "blobs", "backlog_bytes": 6, "backlog_files": 1, "exit_status": 0}
    go(attempt, script)
    said = told(attempt)
    assert said is not None
    assert [(item["backlog_files"], item["oldest"]) for item in said["stores"]] == [(0, None)]


def test_a_store_that_takes_nothing_leaves_its_backlog_told(attempt: Attempt):
    attempt.store.write_text("in the way")
    attempt.stage("echo 12 >a", walltime=20, reserve=10.0)
    assert attempt.run() == 0
    said = told(attempt)
    assert said is not None
    assert (said["stores"][0]["backlog_bytes"], said["stores"][0]["backlog_files"]) == (3, 1)
    assert said["stores"][0]["exit_status"] != 0


def test_when_time_is_short_the_most_wanted_and_the_small_come_first(attempt: Attempt):
    rules = [OutputRule("want/**"), OutputRule("other/**")]
    [plan] = plan_transfers(rules, [])
    sizes = {"want/big": 300, "want/small": 3, "other/big": 200, "other/small": 2}
    for name, size in sizes.items():
        (attempt.folder / name).parent.mkdir(exist_ok=True)
        (attempt.folder / name).write_bytes(b"x" * size)
    attempt.stage(
        "touch begun; sleep 60",
        transfers=(attempt.transfer(running_filter=plan.running, final_filter=plan.final, urgent_filters=plan.urgent),),
        kill_delay=15.0,
    )
    wrapper = attempt.base / "rclone"
    wrapper.write_text(f'#!/bin/bash\nexec {attempt.request.rclone} "$@" $([[ $1 != copy ]] || echo --transfers 1)\n')
    wrapper.chmod(0o755)
    attempt.stage(rclone=str(wrapper))
    script = attempt.start()
    until((attempt.folder / "begun").exists, "the payload")
    os.kill(script.pid, signal.SIGTERM)
    script.wait(PATIENCE)
    assert attempt.final["reason"] == "terminated"
    assert attempt.final["passes"] == [{"store": "blobs", "state": "complete", "exit_status": 0}]
    assert copies(attempt) == ["want/small", "want/big", "other/small", "other/big"]


def test_what_waits_for_the_end_counts_for_the_time_that_is_kept(attempt: Attempt):
    attempt.stage(
        f"head -c 8000000 /dev/zero >sent; head -c 80000000 /dev/zero >last; {WAIT}",
        transfers=(attempt.transfer(running_filter=("- /last", "+ /**", "- **")),),
        sync_interval=0.3,
        sync_settle=0.5,
        reserve=1.0,
    )
    script = attempt.start()
    until(lambda: (attempt.control / "sync.need").exists(), "a need")
    assert int((attempt.control / "sync.need").read_text()) > 0
    assert not attempt.stored("last").exists()
    go(attempt, script)
    assert attempt.stored("last").stat().st_size == 80_000_000


@pytest.mark.parametrize(("need", "left"), [("", 1000), ("2000", 2000), ("500", 1000), ("999999", 3000), ("x", 1000)])
def test_more_time_is_kept_for_a_large_backlog_but_half_the_walltime_at_most(
    bash: Callable[..., subprocess.CompletedProcess[bytes]], tmp_path: Path, need: str, left: int
):
    if need:
        (tmp_path / "sync.need").write_text(f"{need}\n")
    text = f"gw_control={tmp_path} gw_walltime=60 gw_reserve=10 gw_end=9000; gw_heed_need; echo $((gw_end-gw_deadline))"
    assert bash(text, "records.sh", "main.sh").stdout == f"{left}\n".encode()


def test_the_time_that_is_needed_follows_from_the_rates_of_passes(
    bash: Callable[..., subprocess.CompletedProcess[bytes]], tmp_path: Path
):
    text = (
        f"gw_control={tmp_path} gw_byte_rate=0 gw_file_rate=0 gw_need=0 gw_transfer_store=(0 0)\n"
        "gw_backlog_files=(10 0) gw_backlog_bytes=(80000000 20000000)\n"
        "gw_sync_measure 3 100 50; gw_sync_set_need; echo $gw_need\n"
        "gw_sync_measure 3 10000000 100; gw_sync_set_need; cat $gw_control/sync.need"
    )
    assert bash(text, "records.sh", "sync_scan.sh").stdout == b"0\n1500\n"


@pytest.fixture(params=["azure", "s3"])
def section(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, attempt: Attempt) -> dict[str, Any]:
    """The settings of a real store that has something of its own for this test."""
    if request.param == "azure":
        azurite: Azurite = request.getfixturevalue("azurite")
        monkeypatch.setenv("ODD_KEY", azurite.key)
        container = {"account_url": azurite.account_url, "container": f"odd-{attempt.job}"}
        return {"kind": "azure", **container, "credential": {"account_key": {"env": "ODD_KEY"}}}
    weed: Seaweed = request.getfixturevalue("seaweed")
    monkeypatch.setenv("ODD_ID", weed.access_key)
    monkeypatch.setenv("ODD_KEY", weed.secret_key)
    return {
        "kind": "rclone",
        "remote": {"type": "s3", "provider": "SeaweedFS", "endpoint": weed.endpoint},
        "secrets": {"access_key_id": {"env": "ODD_ID"}, "secret_access_key": {"env": "ODD_KEY"}},
        "root": f"{weed.bucket}/{attempt.job}",
        "transfer": "push",
    }


@pytest.mark.parametrize("follow", [False, True])
async def test_odd_names_survive_the_way_to_a_real_store(attempt: Attempt, section: dict[str, Any], follow: bool):
    for name in ODD:
        path = Path(os.fsdecode(os.fsencode(attempt.folder) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == b"empty" else name + b"\n")
    (attempt.folder / "empty folder").mkdir()
    store = build_store("blobs", section, GatewaySettings(data=attempt.base / "data"), {})
    place = Place(attempt.job, "somebody")
    await store.prepare(place)
    remote = await store.push_remote(place, timedelta(hours=1), target="cluster") or await store.relay_remote(place)
    attempt.credentials = [f"{name}={value}" for name, value in remote.environment("S0").items()]
    transfer = attempt.transfer(destination=f"S0:{remote.root}", arguments=remote.arguments, follow=follow)
    attempt.stage(WAIT, transfers=(transfer,), sync_interval=0.5 if follow else None)
    script = attempt.start()
    if follow:
        await asyncio.to_thread(until, lambda: backlog(attempt) == 0, "all is sent by a pass")
    await asyncio.to_thread(go, attempt, script)
    found = {item.path: item.size async for item in store.list(place)}
    expected = {comparable(from_disk(name)): 0 if name == b"empty" else len(name) + 1 for name in ODD} | {"go": 0}
    assert {comparable(path): size for path, size in found.items()} == expected
    assert {row["Path"]: row["Size"] for row in attempt.manifest["transfers"][0]["files"]} == expected
    if follow:
        assert sorted(copies(attempt)) == sorted(expected)  # once each: what a pass sent is what there is
    await store.close()

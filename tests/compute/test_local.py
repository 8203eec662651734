"""The local transport."""

from __future__ import annotations

import asyncio
import io
import os
import pwd
from pathlib import Path

import pytest

from gateway.compute.transport.local import LocalSettings, LocalTransport
from gateway.errors import RemoteCommandFailed, RemoteTimeout


async def test_a_script_gets_data_variables_and_path(tmp_path: Path) -> None:
    transport = LocalTransport(LocalSettings(), env={"WORD": "a 'b"}, path="/opt/x", state_folder=tmp_path)
    answer = await transport.run('echo "$WORD" "${PATH%%:*}"; cat; exit 4', data=io.BytesIO(b"z" * 3_000_000))
    assert answer.stdout == b"a 'b /opt/x\n" + b"z" * 3_000_000
    assert answer.exit_status == 4
    assert transport.username == pwd.getpwuid(os.geteuid()).pw_name


async def test_the_gateways_own_variables_are_not_for_jobs(
    local: LocalTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", "secret")
    answer = await local.run("env; grep -a -c secret /proc/$$/environ")
    assert b"secret" not in answer.stdout
    assert answer.stdout.endswith(b"\n0\n")


async def test_a_command_that_takes_too_long_is_killed_with_its_children(local: LocalTransport, tmp_path: Path) -> None:
    with pytest.raises(RemoteTimeout):
        await local.run(f"sleep 40 & echo $! >{tmp_path}/pid; wait", timeout=0.5)
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text()


async def test_a_cancelled_call_kills_what_it_started(local: LocalTransport, tmp_path: Path) -> None:
    call = asyncio.create_task(local.run(f"echo $$ >{tmp_path}/pid; exec sleep 40"))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.02)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


async def test_a_background_process_does_not_hold_up_the_answer(local: LocalTransport) -> None:
    answer = await local.run("sleep 2 & echo started", timeout=1.5)
    assert answer.stdout == b"started\n"


async def test_data_that_nobody_reads_does_no_harm(local: LocalTransport) -> None:
    answer = await local.run("echo early", data=b"x" * 10_000_000)
    assert (answer.stdout, answer.exit_status) == (b"early\n", 0)


async def test_more_output_than_allowed_is_an_error(local: LocalTransport) -> None:
    with pytest.raises(RemoteCommandFailed, match="more than 1000 bytes"):
        await local.run("head -c 100000 /dev/zero", max_output=1000)


async def test_twenty_at_once_each_get_their_own_answer(local: LocalTransport) -> None:
    answers = await asyncio.gather(*(local.run(f"echo {n}") for n in range(20)))
    assert [int(answer.stdout) for answer in answers] == list(range(20))


async def test_a_folder_is_relayed_from_where_it_is(local: LocalTransport) -> None:
    remote = await local.relay_source("/some/folder")
    assert (dict(remote.options), remote.root) == ({"type": "local"}, "/some/folder")

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gateway.compute.transport.base import RcloneRemote
from gateway.errors import NotFound, StoreError, StoreUnreachable
from gateway.storage.rclone import LogLine, Rclone, RcloneResult, address, find_rclone, parse_log_line, scrub


def stand_in(tmp_path: Path, script: str) -> Rclone:
    """A program in rclone's place that does what a test needs to see from outside."""
    program = tmp_path / "stand in"
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)
    return Rclone(program)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_the_binary_is_a_recent_rclone() -> None:
    result = await Rclone().run(["version"])
    assert result.exit_status == 0
    assert b"rclone v1." in result.stdout
    assert find_rclone().is_absolute()


async def test_remotes_go_by_the_environment_and_never_by_arguments(tmp_path: Path) -> None:
    rclone = stand_in(tmp_path, 'printf "%s\\n" "$@"; echo ---; env')
    os.environ["RCLONE_EXCLUDE"] = "*"
    try:
        remote = RcloneRemote({"type": "s3", "secret_access_key": "very-secret"}, "b")
        result = await rclone.run(["copy", "a b", "$(x)"], {"OUT": remote})
    finally:
        del os.environ["RCLONE_EXCLUDE"]
    arguments, _, environment = result.stdout.decode().partition("---")
    assert "very-secret" not in arguments
    assert {"copy", "a b", "$(x)"} <= set(arguments.splitlines())
    assert "RCLONE_CONFIG_OUT_SECRET_ACCESS_KEY=very-secret" in environment
    assert "RCLONE_CONFIG=/dev/null" in environment
    assert "RCLONE_EXCLUDE" not in environment


async def test_a_cancelled_run_leaves_no_process(tmp_path: Path) -> None:
    rclone = stand_in(tmp_path, f"echo $$ > {tmp_path}/pid.part; mv {tmp_path}/pid.part {tmp_path}/pid; exec sleep 100")
    task = asyncio.create_task(rclone.run(["copy"]))
    while not (tmp_path / "pid").exists():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone(int((tmp_path / "pid").read_text()))


async def test_a_run_that_takes_too_long_is_killed_and_unreachable(tmp_path: Path) -> None:
    rclone = stand_in(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 100")
    with pytest.raises(StoreUnreachable, match="did not end"):
        await rclone.run(["copy"], timeout=0.5)
    assert gone(int((tmp_path / "pid").read_text()))


async def test_a_reader_that_stops_ends_the_run(tmp_path: Path) -> None:
    rclone = stand_in(tmp_path, f"echo $$ > {tmp_path}/pid; while :; do echo line; done")
    stream = rclone.stream(["cat"], what="reading")
    assert (await anext(stream)).startswith(b"line")
    await stream.aclose()  # type: ignore[attr-defined]
    assert gone(int((tmp_path / "pid").read_text()))


async def test_output_beyond_the_bound_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="more than 1000 bytes"):
        await stand_in(tmp_path, "head -c 5000 /dev/zero; sleep 100").run(["lsjson"], max_output=1000)


async def test_the_log_is_read_while_it_runs_and_bounded(tmp_path: Path) -> None:
    seen: list[LogLine] = []
    text = 'for i in $(seq 5000); do echo \'{"level":"error","msg":"m\'$i\'"}\' >&2; done; printf tail >&2; exit 7'
    result = await stand_in(tmp_path, text).run(["copy"], on_line=seen.append)
    assert result.exit_status == 7
    assert len(seen) == 5001
    assert len(result.messages) == 200
    assert result.messages[-1].message == "tail"


async def test_a_killed_run_has_the_status_of_its_signal(tmp_path: Path) -> None:
    assert (await stand_in(tmp_path, "kill -KILL $$").run(["copy"])).exit_status == 137


async def test_a_source_that_is_missing_is_status_3_and_not_found(tmp_path: Path) -> None:
    remote = RcloneRemote({"type": "local"}, str(tmp_path / "none"))
    result = await Rclone().run(["copy", address("S", remote, folder=True), str(tmp_path / "to")], {"S": remote})
    assert result.exit_status == 3
    assert isinstance(result.error("copying"), NotFound)


def test_signatures_and_secrets_never_show() -> None:
    text = 'HEAD https://a.blob/c?sv=1&sig=AbC%2B%3D&se=2 failed: {"key":"k3y-of-account"} X-Amz-Signature=123abc'
    clean = scrub(text, ["k3y-of-account"])
    for secret in ("AbC", "k3y-of-account", "123abc"):
        assert secret not in clean
    assert "sv=1" in clean


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"", None),
        (b"plain words", LogLine("notice", "plain words")),
        (b'{"level":"info","msg":"Copied (new)","size":3,"object":"a b"}', LogLine("info", "Copied (new)", "a b", 3)),
        (b'{"level":"error","msg":"a\\n b"}', LogLine("error", "a b")),
        (b"[1]", LogLine("notice", "[1]")),
        (b"[" * 100_000, LogLine("notice", "[" * 1000)),
        (b'{"size":"x"}', LogLine("notice", "")),
    ],
)
def test_log_lines_of_any_kind_are_read(line: bytes, expected: LogLine | None) -> None:
    assert parse_log_line(line)[0] == expected


def test_the_message_is_the_worst_line() -> None:
    lines = (LogLine("error", "one"), LogLine("critical", "two"), LogLine("notice", "three"))
    assert RcloneResult(1, b"", lines).message == "two"
    assert RcloneResult(1).message == "rclone ended with status 1"
    assert RcloneResult(0, b"", lines).message is None


@pytest.mark.parametrize(
    ("root", "below", "folder", "expected"),
    [
        ("b/j", ("a", ""), False, "S:b/j/a"),
        ("/x/", ("a",), True, "S:/x/a/"),
        ("/", ("a",), False, "S:/a"),
        ("/", (), True, "S:/"),
        ("", (), True, "S:"),
        ("", ("-a",), False, "S:-a"),
    ],
)
def test_addresses(root: str, below: tuple[str, ...], folder: bool, expected: str) -> None:
    assert address("S", RcloneRemote({}, root), *below, folder=folder) == expected

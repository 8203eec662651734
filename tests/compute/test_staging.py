"""Staging by a real bash and tar."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.compute.staging import StagedAttempt, StagedFile, StagingOutcome, stage
from gateway.compute.transport.local import LocalTransport
from gateway.compute.transport.ssh import SshTransport
from gateway.errors import StagingFailed
from testbed.sshd import SshSite

STAGED, CLAIMED = StagingOutcome("staged"), StagingOutcome("already_claimed")
CLAIM = f"scheduler_id=7\ntoken={'a' * 32}\n"


def attempt(
    workdir: Path, job: str, number: int = 1, inputs: dict[str, bytes | Path] | None = None, script: bytes = b"echo hi"
) -> StagedAttempt:
    files = [StagedFile(path, content) for path, content in (inputs or {"system/a": b"1"}).items()]
    control = [StagedFile("job.sh", script, 0o700), StagedFile("credentials", b"K=secret\n", 0o600)]
    return StagedAttempt(job, number, f"{workdir}/{job}", f"{workdir}/.gateway/{job}/{number}", files, control)


def nothing_temporary(workdir: Path) -> bool:
    return not [p for p in (workdir / ".gateway").iterdir() if p.name.startswith(".staging")]


async def test_an_attempt_has_its_files_with_the_right_modes(local: LocalTransport, tmp_path: Path) -> None:
    names = {
        "a b/é\u00fc.txt": b"x",
        "-dash": b"--",
        "q'\"$(touch x)`;\\": b"\0\xff",
        "n" * 200 + "/" + "m" * 200: b"long",
    }
    made = attempt(tmp_path, "j1", inputs=dict(names))
    assert await stage(local, [made]) == [STAGED]
    assert {
        str(p.relative_to(tmp_path / "j1")): p.read_bytes() for p in (tmp_path / "j1").rglob("*") if p.is_file()
    } == names
    control = Path(made.control_folder)
    assert stat.S_IMODE(control.stat().st_mode) == 0o700
    assert stat.S_IMODE((control / "credentials").stat().st_mode) == 0o600
    assert stat.S_IMODE((control / "job.sh").stat().st_mode) == 0o700
    assert (control / "control").read_bytes() == b""
    assert stat.S_IMODE((tmp_path / ".gateway").stat().st_mode) == 0o700
    assert control.stat().st_uid == os.geteuid()
    assert nothing_temporary(tmp_path)


async def test_an_input_can_be_a_large_file_of_the_gateway(local: LocalTransport, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(1000) * 12_000)
    assert await stage(local, [attempt(tmp_path / "w", "j1", inputs={"mesh.bin": big})]) == [STAGED]
    assert (tmp_path / "w/j1/mesh.bin").read_bytes() == big.read_bytes()


async def test_a_claimed_folder_is_never_staged_again(local: LocalTransport, tmp_path: Path) -> None:
    first = attempt(tmp_path, "j1")
    await stage(local, [first])
    control = Path(first.control_folder)
    (control / "claim").write_text(CLAIM)
    (tmp_path / "j1/system/a").write_bytes(b"the payload's")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "j1", control)}
    again = attempt(tmp_path, "j1", inputs={"system/a": b"2", "new": b"3"}, script=b"other")
    assert await stage(local, [again, attempt(tmp_path, "j2")]) == [CLAIMED, STAGED]
    assert (control / "job.sh").read_bytes() == b"echo hi"
    assert (tmp_path / "j1/system/a").read_bytes() == b"the payload's"
    assert not (tmp_path / "j1/new").exists()
    assert {p: p.stat().st_mtime_ns for p in before} == before


async def test_an_unclaimed_folder_is_replaced_and_keeps_its_scheduler_id(
    local: LocalTransport, tmp_path: Path
) -> None:
    first = attempt(tmp_path, "j1")
    await stage(local, [first])
    control = Path(first.control_folder)
    (control / "scheduler_id").write_text("77\n")
    (control / "stale").write_text("x")
    assert await stage(local, [attempt(tmp_path, "j1", script=b"new")]) == [STAGED]
    assert (control / "job.sh").read_bytes() == b"new"
    assert (control / "scheduler_id").read_text() == "77\n"
    assert not (control / "stale").exists()


async def test_a_second_attempt_lays_inputs_over_what_the_first_left(local: LocalTransport, tmp_path: Path) -> None:
    await stage(local, [attempt(tmp_path, "j1", inputs={"system/a": b"1", "b": b"1"})])
    (tmp_path / "j1/result").write_bytes(b"kept")
    (tmp_path / "j1/system/a").write_bytes(b"spoilt")
    second = attempt(tmp_path, "j1", 2, inputs={"system/a": b"2", "sub/c": b"3"})
    assert await stage(local, [second]) == [STAGED]
    assert (tmp_path / "j1/result").read_bytes() == b"kept"
    assert (tmp_path / "j1/b").read_bytes() == b"1"
    assert (tmp_path / "j1/system/a").read_bytes() == b"2"
    assert (tmp_path / "j1/sub/c").read_bytes() == b"3"
    assert (tmp_path / ".gateway/j1/1/job.sh").exists()


async def test_links_that_a_payload_left_lead_nowhere(local: LocalTransport, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"precious")
    workdir = tmp_path / "w"
    await stage(local, [attempt(workdir, "j1", inputs={"x": b"1"})])
    (workdir / "j1/system").symlink_to(outside)
    (workdir / "j1/b").symlink_to(outside / "a")
    second = attempt(workdir, "j1", 2, inputs={"system/a": b"2", "b": b"3", "system/deep/c": b"4"})
    assert await stage(local, [second]) == [STAGED]
    assert [p.name for p in outside.iterdir()] == ["a"]
    assert (outside / "a").read_bytes() == b"precious"
    assert (workdir / "j1/system/a").read_bytes() == b"2"
    assert not (workdir / "j1/b").is_symlink()


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", ".gateway/x", "", "a//b", "a\0b", "a\nb", "."])
async def test_a_path_that_leaves_the_folder_fails_alone(local: LocalTransport, tmp_path: Path, path: str) -> None:
    bad = attempt(tmp_path / "w", "j1", inputs={path: b"x"})
    outcomes = await stage(local, [bad, attempt(tmp_path / "w", "j2")])
    assert outcomes[0].status == "failed"
    assert outcomes[1] == STAGED
    assert not (tmp_path / "w/j1").exists()


@pytest.mark.parametrize("name", ["claim", "scheduler_id", "final.json", "control"])
async def test_what_belongs_to_the_run_is_never_staged(local: LocalTransport, tmp_path: Path, name: str) -> None:
    made = StagedAttempt("j", 1, f"{tmp_path}/j", f"{tmp_path}/.gateway/j/1", [], [StagedFile(name, b"x")])
    assert (await stage(local, [made]))[0].status == "failed"


async def test_one_that_cannot_be_put_there_does_not_spoil_the_others(local: LocalTransport, tmp_path: Path) -> None:
    (tmp_path / "j2").write_text("a file where the folder goes")
    too_long = attempt(tmp_path, "j3")
    wrong = StagedAttempt(
        "j3", 1, f"{tmp_path}/{'n' * 300}", too_long.control_folder, too_long.inputs, too_long.control_files
    )
    outcomes = await stage(local, [attempt(tmp_path, "j1"), attempt(tmp_path, "j2"), wrong, attempt(tmp_path, "j4")])
    assert [outcome.status for outcome in outcomes] == ["staged", "failed", "failed", "staged"]
    assert "is not a folder" in str(outcomes[1].message)
    assert nothing_temporary(tmp_path)


async def test_the_same_attempt_staged_at_once_by_many_is_whole_in_the_end(
    local: LocalTransport, tmp_path: Path
) -> None:
    many = [attempt(tmp_path, "j1", script=b"%d" % n * 1000) for n in range(6)]
    outcomes = await asyncio.gather(*(stage(local, [made]) for made in many))
    assert STAGED in [outcome for group in outcomes for outcome in group]
    control = tmp_path / ".gateway/j1/1"
    assert (control / "job.sh").read_bytes() in [b"%d" % n * 1000 for n in range(6)]
    assert nothing_temporary(tmp_path)


async def test_a_full_disk_is_told_in_its_own_words(local: LocalTransport, tmp_path: Path) -> None:
    limited = LocalTransport(local.settings, env={}, path=None, state_folder=tmp_path)
    run = limited.run
    # A limit on the size of files stands for a full disk: both make writing fail in the middle.
    limited.run = lambda script, **rest: run(f"ulimit -f 100; trap '' XFSZ\n{script}", **rest)  # type: ignore[method-assign]
    big = attempt(tmp_path, "big", inputs={"a": b"x" * 300_000})
    small = attempt(tmp_path, "small")
    outcomes = await stage(limited, [small, big])
    assert outcomes[0] == STAGED
    assert outcomes[1].status == "failed"
    assert re.search("File too large|disk full", str(outcomes[1].message))
    assert not (tmp_path / "big").exists()
    with pytest.raises(StagingFailed, match=r"File too large|disk full"):
        await stage(limited, [big])


async def test_a_folder_that_cannot_be_made_fails_all_in_mkdirs_words(local: LocalTransport, tmp_path: Path) -> None:
    (tmp_path / "w").write_text("a file")
    with pytest.raises(StagingFailed, match=r"Not a directory|File exists"):
        await stage(local, [attempt(tmp_path / "w", "j1")])


@pytest.mark.real
async def test_staging_works_at_a_hostile_site(hostile_site: SshSite, make_ssh: Callable[..., SshTransport]) -> None:
    transport = make_ssh(hostile_site)
    workdir = hostile_site.home / "work dir"
    assert await stage(transport, [attempt(workdir, f"j{n}") for n in range(5)]) == [STAGED] * 5
    listing = hostile_site.check(f"cd '{workdir}' && find . -type f | sort")
    assert listing.count("job.sh") == 5
    assert "./j4/system/a" in listing


def test_the_scripts_are_clean() -> None:
    folder = Path(__file__).parents[2] / "gateway/compute/scripts"
    done = subprocess.run(
        ["shellcheck", *map(str, sorted(folder.glob("*.sh")))], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""

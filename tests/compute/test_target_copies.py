"""Inputs that are on the target already: copied there by a real bash, never from outside the listed folders."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.compute.staging import StagedAttempt, StagedFile, StagingOutcome, TargetCopy, stage
from gateway.compute.target_inputs import target_path_problem
from gateway.compute.transport.local import LocalTransport

STAGED = StagingOutcome("staged")


def attempt(workdir: Path, job: str, *copies: TargetCopy) -> StagedAttempt:
    files = [StagedFile("own", b"1")]
    control = [StagedFile("job.sh", b"echo hi", 0o700)]
    return StagedAttempt(job, 1, f"{workdir}/{job}", f"{workdir}/.gateway/{job}/1", files, control, copies)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that inputs may come from, reached by a link, beside one that they may not come from."""
    (tmp_path / "real/atlas/deep").mkdir(parents=True)
    (tmp_path / "real/atlas/deep/a b").write_bytes(b"\0data")
    (tmp_path / "real/tool").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    (tmp_path / "public").symlink_to("real")
    return tmp_path / "public"


async def test_files_and_folders_are_copied_with_the_jobs_own_files(
    local: LocalTransport, root: Path, tmp_path: Path
) -> None:
    (root / "atlas/deep").chmod(0o555)
    roots = (str(root),)
    made = attempt(
        tmp_path / "w",
        "j1",
        TargetCopy("in/atlas", f"{root}/atlas", roots),
        TargetCopy("bin/tool", f"{root}/tool", roots, executable=True),
        TargetCopy("one", f"{root}/atlas/deep/a b", roots),
    )
    plain = attempt(tmp_path / "w", "j2")
    assert await stage(local, [made, plain]) == [STAGED, STAGED]
    job = tmp_path / "w/j1"
    assert (job / "in/atlas/deep/a b").read_bytes() == (job / "one").read_bytes() == b"\0data"
    assert os.access(job / "bin/tool", os.X_OK)
    assert os.access(job / "in/atlas/deep", os.W_OK)
    assert (job / "own").read_bytes() == b"1"
    assert not (tmp_path / "w/j2/in").exists()


async def test_links_that_lead_out_are_refused_and_spoil_nothing_else(
    local: LocalTransport, root: Path, tmp_path: Path
) -> None:
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "atlas/inner").symlink_to("../../secret/key")
    (tmp_path / "public-too").mkdir()
    os.mkfifo(root / "pipe")
    roots = (str(root),)
    sources = [f"{root}/out/key", f"{root}/out", f"{root}/../secret", f"{tmp_path}/public-too", f"{root}/pipe"]
    made = [attempt(tmp_path / "w", f"j{n}", TargetCopy("x", source, roots)) for n, source in enumerate(sources)]
    good = attempt(tmp_path / "w", "good", TargetCopy("x", f"{root}/atlas", roots))
    *bad, fine = await stage(local, [*made, good])
    assert fine == STAGED
    said = [outcome.message or "" for outcome in bad]
    assert [outcome.status for outcome in bad] == ["failed"] * 5
    assert all("leads out of the folders that inputs may come from" in message for message in said[:4])
    assert "is neither a file nor a folder" in said[4]
    assert not (tmp_path / "w/j0").exists()
    copied = tmp_path / "w/good/x/inner"
    assert copied.is_symlink()
    assert not list((tmp_path / "w/.gateway").glob(".staging*"))


async def test_what_is_not_there_is_told(local: LocalTransport, root: Path, tmp_path: Path) -> None:
    (found,) = await stage(local, [attempt(tmp_path / "w", "j", TargetCopy("x", f"{root}/none", (str(root),)))])
    assert found.status == "failed"
    assert "none" in (found.message or "")


async def test_a_claimed_attempt_gets_no_new_copies(local: LocalTransport, root: Path, tmp_path: Path) -> None:
    first = attempt(tmp_path / "w", "j")
    await stage(local, [first])
    (Path(first.control_folder) / "claim").write_text("scheduler_id=7\n")
    again = replace(first, copies=(TargetCopy("x", f"{root}/atlas", (str(root),)),))
    assert await stage(local, [again]) == [StagingOutcome("already_claimed")]
    assert not (tmp_path / "w/j/x").exists()


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/data/public", True),
        ("/data/public/a b", True),
        ("//data//public/./x", True),
        ("/data/public/", True),
        ("/data/public2", False),
        ("/data", False),
        ("/data/public/../secret", False),
        ("data/public", False),
        ("~/x", False),
        ("/data/public/\n", False),
    ],
)
def test_only_paths_below_the_listed_folders_are_accepted(path: str, right: bool) -> None:
    assert (target_path_problem(path, ["/data/public"]) is None) == right
    assert target_path_problem(path, []) is not None


@given(st.text(st.sampled_from("/.ab"), max_size=12))
def test_an_accepted_path_is_below_a_root_however_it_is_written(path: str) -> None:
    if target_path_problem(path, ["/a/b"]) is None:
        assert os.path.normpath("/" + path.lstrip("/")).startswith("/a/b")
    assert (target_path_problem(path, ["/"]) is None) == (path.startswith("/") and ".." not in path.split("/"))

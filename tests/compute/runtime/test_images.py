"""Images as they come: with variables of their own, without a shell, as SIF files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from testbed.images import TestImage, make_sif, pack
from tests.compute.runtime.container_run import Person, Run

pytestmark = pytest.mark.real
EVERY_KIND = pytest.mark.parametrize("kind", ["charliecloud", "podman"])


@pytest.fixture
def rootfs(own: Person, test_image: TestImage, tmp_path: Path) -> Path:
    """A copy of the test image's files."""
    return Path(shutil.copytree(test_image.rootfs, tmp_path / "rootfs", symlinks=True))


def packed(rootfs: Path, own: Person, name: str) -> Path:
    squashfs = own.folder / name
    pack(rootfs, squashfs)
    return squashfs


@EVERY_KIND
def test_variables_of_the_image_hold_unless_the_job_says_otherwise(kind: str, own: Person, rootfs: Path) -> None:
    folder = rootfs / ".singularity.d" / "env"
    folder.mkdir(parents=True)
    (folder / "10-docker2singularity.sh").write_text(
        'export PATH="/opt/solver:/bin"\nexport SOLVER="image"\nexport LEVEL="${LEVEL:-"image"}"\nexport HOME=/root\n'
    )
    (folder / "90-environment.sh").write_text("export LAST=image\n")
    (rootfs / "opt" / "solver").mkdir()
    solver = rootfs / "opt" / "solver" / "solve"
    solver.write_text('#!/bin/sh\necho "$SOLVER $LEVEL $LAST $HOME"\n')
    solver.chmod(0o755)
    image = packed(rootfs, own, f"variables-{kind}.sqfs")
    ended = Run(own, kind, ["solve"], image=image, env={"LEVEL": "job"}).run()
    assert (ended.out, ended.status) == (b"image job image /job\n", 0), ended.err


@EVERY_KIND
def test_an_image_without_a_shell_is_refused_with_the_reason(kind: str, own: Person, rootfs: Path) -> None:
    (rootfs / "bin" / "sh").unlink()
    ended = Run(own, kind, ["busybox", "true"], image=packed(rootfs, own, f"shell-{kind}.sqfs")).run()
    assert ended.lines == ["unprepared: the image has no sh, and payloads are started with sh, env and cat"]


@EVERY_KIND
def test_a_file_that_is_no_image_is_refused_in_one_sentence(kind: str, own: Person) -> None:
    broken = own.folder / f"broken-{kind}.sqfs"
    broken.write_bytes(b"<html>not found</html>")
    ended = Run(own, kind, ["true"], image=broken).run()
    assert len(ended.lines) == 1
    assert ended.lines[0].startswith("unprepared: the image ")


@EVERY_KIND
def test_a_sif_file_runs(kind: str, own: Person, test_image: TestImage) -> None:
    sif = own.folder / f"{kind}.sif"
    make_sif(test_image.squashfs, sif)
    ended = Run(own, kind, ["sh", "-c", "cat /etc/os-release; exit 4"], image=sif).run()
    assert ended.status == 4, ended.err
    assert b"ID=test" in ended.out


@EVERY_KIND
def test_a_program_may_have_an_equals_sign_in_its_name(kind: str, own: Person) -> None:
    run = Run(own, kind, ["./run=1", "a=b"])
    run.folder.mkdir(parents=True)
    (run.folder / "run=1").write_text('#!/bin/sh\necho "ran $1"\n')
    (run.folder / "run=1").chmod(0o755)
    ended = run.run()
    assert (ended.out, ended.status) == (b"ran a=b\n", 0), ended.err


@EVERY_KIND
def test_what_is_in_the_cache_stays_as_it_was_unpacked(kind: str, own: Person) -> None:
    ended = Run(own, kind, ["sh", "-c", "echo x >/bin/evil; rm -f /bin/sh; mkdir /new; exit 0"]).run()
    assert ended.status == 0
    assert not list(own.folder.glob("cache/*/bin/evil"))
    assert list(own.folder.glob("cache/*/bin/sh"))
    assert not list(own.folder.glob("cache/*/new"))

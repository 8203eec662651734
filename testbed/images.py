"""A small container image made from this machine's own programs: bash and busybox, in about a second."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from testbed.processes import TestbedError, require

# siftool's numbers for machines.
_SIF_MACHINES = {"x86_64": 2, "aarch64": 4, "ppc64le": 6, "s390x": 11, "riscv64": 12}
_FOLDERS = (
    "bin",
    "dev",
    "etc",
    "home",
    "lib",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/bin",
    "var/tmp",
)
# Files that container engines mount over: they cannot make them in a read-only image.
_POINTS = (
    "etc/hosts",
    "etc/resolv.conf",
    "etc/hostname",
    "etc/localtime",
    "dev/null",
    "dev/zero",
    "dev/urandom",
)


@dataclass(frozen=True)
class TestImage:
    """One file system in the forms that a gateway may be given.

    Attributes
    ----------
    rootfs
        Unpacked folder.
    squashfs, squashfs_digest
        Squashfs file, ``sha256:…``; the same programs give the same digest.
    sif, sif_digest
        SIF file with that squashfs as its system partition; each build has a digest of its own.
    """

    __test__ = False

    rootfs: Path
    squashfs: Path
    squashfs_digest: str
    sif: Path
    sif_digest: str

    def save(self, record: Path) -> None:
        """Write down where it is, for other processes."""
        record.write_text(json.dumps({key: str(value) for key, value in asdict(self).items()}))

    @classmethod
    def load(cls, record: Path) -> Self:
        """Read what `save` wrote."""
        known = json.loads(record.read_text())
        paths = {key: Path(known[key]) for key in ("rootfs", "squashfs", "sif")}
        return cls(**{**known, **paths})


def build_test_image(folder: Path, programs: Sequence[str] = ("bash",)) -> TestImage:
    """Build the image into an empty or new folder.

    Parameters
    ----------
    folder
        Where `rootfs`, `test.sqfs` and `test.sif` go.
    programs
        Programs of this machine to put in, with their shared libraries, over the applets of busybox.

    Raises
    ------
    MissingPart
        A program that builds images is not installed.
    TestbedError
        One of them failed.
    """
    rootfs, squashfs, sif = folder / "rootfs", folder / "test.sqfs", folder / "test.sif"
    _fill(rootfs, programs)
    pack(rootfs, squashfs)
    make_sif(squashfs, sif)
    return TestImage(rootfs, squashfs, digest(squashfs), sif, digest(sif))


def digest(path: Path) -> str:
    """Return ``sha256:…`` of a file."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _fill(rootfs: Path, programs: Sequence[str]) -> None:
    for name in _FOLDERS:
        (rootfs / name).mkdir(parents=True)
    for name in ("tmp", "var/tmp"):
        (rootfs / name).chmod(0o1777)
    for name in _POINTS:
        (rootfs / name).touch(mode=0o644)
    (rootfs / "etc" / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n"
    )
    (rootfs / "etc" / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (rootfs / "etc" / "os-release").write_text('ID=test\nPRETTY_NAME="Science Gateway test image"\n')
    busybox = Path(require("busybox", "apt-get install busybox-static"))
    if _libraries(busybox):
        raise TestbedError("busybox is not the static one: apt-get install busybox-static")
    shutil.copyfile(busybox, rootfs / "bin" / "busybox")
    (rootfs / "bin" / "busybox").chmod(0o755)
    for applet in _run([str(busybox), "--list"]).split():
        if applet != "busybox":
            (rootfs / "bin" / applet).symlink_to("busybox")
    (rootfs / "usr" / "bin" / "env").symlink_to("../../bin/busybox")
    for program in programs:
        _add(rootfs, Path(require(program, f"apt-get install {program}")))


def _add(rootfs: Path, program: Path) -> None:
    """Copy a program to /bin of the image, and the libraries it loads to where it looks for them."""
    target = rootfs / "bin" / program.name
    target.unlink(missing_ok=True)
    shutil.copyfile(program.resolve(), target)
    target.chmod(0o755)
    for library in _libraries(program):
        copy = rootfs / library.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(library, copy)
        copy.chmod(0o755)


def _libraries(program: Path) -> list[Path]:
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    words = [word for line in done.stdout.splitlines() for word in line.split()]
    return sorted({Path(word) for word in words if word.startswith("/") and not word.endswith(":")})


def pack(rootfs: Path, squashfs: Path) -> None:
    """Pack a folder, everything owned by root, without times: the same content gives the same bytes."""
    mksquashfs = require("mksquashfs", "apt-get install squashfs-tools")
    squashfs.unlink(missing_ok=True)
    options = ["-comp", "gzip", "-Xcompression-level", "1", "-all-root", "-no-xattrs", "-noappend", "-quiet"]
    options += ["-no-progress", "-mkfs-time", "0", "-all-time", "0", "-processors", "1"]
    _run([mksquashfs, str(rootfs), str(squashfs), *options])


def make_sif(squashfs: Path, sif: Path) -> None:
    """Wrap a squashfs file as the primary system partition of a SIF file."""
    siftool = require("siftool", "apt-get install siftool")
    machine = _SIF_MACHINES.get(platform.machine())
    if machine is None:
        raise TestbedError(f"no SIF number for {platform.machine()}")
    sif.unlink(missing_ok=True)
    _run([siftool, "new", str(sif)])
    kind = ["--datatype", "4", "--parttype", "2", "--partfs", "1", "--partarch", str(machine)]
    _run([siftool, "add", *kind, str(sif), str(squashfs)])


def _run(argv: list[str]) -> str:
    # A SOURCE_DATE_EPOCH of the outer world contradicts mksquashfs's own options.
    env = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TestbedError(f"{argv[0]}: status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout

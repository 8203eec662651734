"""Building container images from Debian packages, without root rights: mmdebstrap and squashfs-tools."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import pwd
import re
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gateway.errors import ImageError, MissingProgram
from gateway.images.debian import apt_settings, choose_suite, package_sources
from gateway.images.recipe import Recipe, case_folder, content_key, load_recipe, read_added_files
from gateway.images.tree import Plan, rewrite_tree

__all__ = ["BuiltImage", "Machine", "MissingProgram", "Progress", "build_image", "dies_with_parent"]

Progress = Callable[[str], None]

# Changes whenever the same recipe would give another image than before.
BUILDER = "1"
DATED = "946684800"  # seconds since 1970: the first day of 2000
STOP_GRACE = 20.0  # seconds; mmdebstrap removes its temporary folder meanwhile
MERGED_USR_HOOK = Path("/usr/share/mmdebstrap/hooks/maybe-merged-usr")
PACKAGES = {"mksquashfs": "squashfs-tools", "newuidmap": "uidmap", "newgidmap": "uidmap"}
STEPS = {
    "running apt-get update": "reading the package lists",
    "running --setup-hook": "reading the package lists",
    "downloading packages": "downloading packages",
    "extracting archives": "unpacking packages",
    "installing essential": "installing the base system",
    "installing remaining": "installing {packages}",
    "creating tarball": "packing the image",
}


@dataclass(frozen=True)
class BuiltImage:
    """An image on this machine: a squashfs file, its ``sha256:…`` digest and its size in bytes."""

    path: Path
    digest: str
    size: int


@dataclass(frozen=True)
class Machine:
    """What a build takes from the machine: the folder of its settings, and the two programs."""

    etc: Path = Path("/etc")
    mmdebstrap: str = "mmdebstrap"
    mksquashfs: str = "mksquashfs"


def build_image(
    recipe: Path, destination: Path, on_progress: Progress, *, machine: Machine | None = None
) -> BuiltImage:
    """Build the image of a recipe, or answer the one that was built from the same recipe and files before.

    Works as root and as an ordinary user with subordinate ids. Nothing is left behind by a build that fails
    or is interrupted; two builders of one image wait for each other.

    Parameters
    ----------
    recipe
        ``recipe.yaml`` in a case's folder ``image/``.
    destination
        Folder of built images: ``<key>.sqfs`` and ``<key>.json``. Made if missing.
    on_progress
        Called in this thread with short sentences. What it raises ends the build.
    machine
        Where to find the programs and the package sources; for tests.

    Raises
    ------
    MissingProgram
        With the line that installs it.
    ImageError
        The recipe is wrong, the machine cannot build, or the build failed.
    """
    machine = machine or Machine()
    plan = load_recipe(recipe)
    files = read_added_files(plan, case_folder(recipe))
    sources = package_sources(machine.etc)
    suite = choose_suite(plan.suite, sources)
    key = content_key(plan, files, suite=suite, architecture=platform.machine(), builder=BUILDER)[:32]
    destination.mkdir(parents=True, exist_ok=True)
    with _locked(destination / f"{key}.lock", on_progress):
        if built := _earlier(destination, key):
            on_progress(f"the image {plan.name} is there already")
            return built
        _require(machine)
        if suite != plan.suite:
            on_progress(f"this machine's package sources offer {suite}, not {plan.suite}: taking that")
        with _work_folder(destination, key) as work:
            tree = Plan(remove=plan.remove, keep=plan.keep, files=files, links=plan.links)
            packed = work / "image.sqfs"
            _Build(machine, plan, suite, sources, work, on_progress).run(packed, tree)
            return _publish(packed, destination, key, plan, suite)


def _require(machine: Machine) -> None:
    """Raise unless the programs are there and, for an ordinary user, subordinate ids."""
    needed = [machine.mmdebstrap, machine.mksquashfs]
    if os.geteuid() != 0:
        needed += ["newuidmap", "newgidmap"]
    missing = [program for program in needed if shutil.which(program) is None]
    if missing:
        names = [Path(program).name for program in missing]
        packages = dict.fromkeys(PACKAGES.get(name, name) for name in names)
        raise MissingProgram(
            f"Building an image needs {' and '.join(names)}, not found on this machine.",
            hint=f"as root: apt-get install -y --no-install-recommends {' '.join(packages)}",
        )
    if os.geteuid() != 0:
        user = pwd.getpwuid(os.geteuid())
        for name in ("subuid", "subgid"):
            _require_subordinate_ids(machine.etc / name, user.pw_name, user.pw_uid)


def _require_subordinate_ids(path: Path, user: str, uid: int) -> None:
    lines = path.read_text().splitlines() if path.is_file() else []
    ranges = [line.split(":") for line in lines if line.count(":") == 2]
    if any(owner in {user, str(uid)} for owner, _, _ in ranges):
        return
    free = max([100_000, *(int(start) + int(count) for _, start, count in ranges)])
    span = f"{free}-{free + 65535}"
    raise ImageError(
        f"{path} names no subordinate ids for {user}, and building an image without root rights needs them.",
        hint=f"as root: usermod --add-subuids {span} --add-subgids {span} {user}",
    )


class _Build:
    """One run of mmdebstrap into mksquashfs."""

    def __init__(
        self,
        machine: Machine,
        recipe: Recipe,
        suite: str,
        sources: Sequence[Path],
        work: Path,
        on_progress: Progress,
    ) -> None:
        self._machine, self._recipe, self._suite = machine, recipe, suite
        self._sources, self._work, self._on_progress = sources, work, on_progress
        self._apt = apt_settings()

    def run(self, packed: Path, tree: Plan) -> None:
        """Make the file `packed`. Raises `ImageError`."""
        self._on_progress(f"building the image {self._recipe.name} from Debian {self._suite} packages")
        with (self._work / "mksquashfs.log").open("w+b") as log, contextlib.ExitStack() as stack:
            packer = stack.enter_context(
                _child(packing(packed, self._machine), stdin=subprocess.PIPE, stdout=log, stderr=log)
            )
            installer = stack.enter_context(
                _child(
                    self._installing(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=self._apt.environment,
                )
            )
            pump = stack.enter_context(ThreadPoolExecutor(1))
            assert installer.stdout is not None
            assert installer.stderr is not None
            assert packer.stdin is not None
            copied = pump.submit(rewrite_tree, installer.stdout, packer.stdin, tree)
            try:
                said = self._follow(installer.stderr)
                self._judge(installer.wait(), said, copied, packer, log)
            except BaseException:
                # In this order: the pump ends when its source does, and closes the packer's input.
                _stop(installer)
                _stop(packer)
                raise

    def _installing(self) -> list[str]:
        packages = list(self._recipe.packages)
        command = [
            *dies_with_parent(),
            self._machine.mmdebstrap,
            "--mode=unshare",
            "--variant=apt",
            "--format=tar",
            "--dpkgopt=force-unsafe-io",
        ]
        command += [f"--aptopt={option}" for option in self._apt.options]
        if MERGED_USR_HOOK.is_dir():
            # Otherwise the package usrmerge does it, which brings all of Perl.
            command.append(f"--hook-dir={MERGED_USR_HOOK}")
            packages.append("usr-is-merged")
        return [*command, f"--include={','.join(packages)}", self._suite, "-", *map(str, self._sources)]

    def _follow(self, stream: IO[bytes]) -> list[str]:
        """Tell the steps that mmdebstrap reports; answer its last lines."""
        said: list[str] = []
        told = ""
        for raw in stream:
            line = raw.decode(errors="replace").strip()
            said = [*said[-200:], line]
            for sign, step in STEPS.items():
                text = step.format(packages=", ".join(self._recipe.packages))
                if line.startswith(f"I: {sign}") and text != told:
                    told = text
                    self._on_progress(text)
        return said

    def _judge(
        self,
        status: int,
        said: list[str],
        copied: Future[None],
        packer: subprocess.Popen[bytes],
        log: IO[bytes],
    ) -> None:
        """Raise the first cause if anything failed."""
        failure = copied.exception()
        packing = packer.wait()
        # A pump that failed by itself makes both programs fail: one finds its output closed, one its input.
        if status != 0 and (failure is None or isinstance(failure, tarfile.ReadError)):
            raise ImageError(f"Debian's packages could not be installed: {_cause(said, status)}")
        if packing != 0 and (failure is None or isinstance(failure, BrokenPipeError)):
            log.seek(0)
            lines = log.read().decode(errors="replace").splitlines()
            raise ImageError(f"The image could not be packed: {_cause(lines, packing)}")
        if isinstance(failure, tarfile.TarError | OSError):
            raise ImageError(f"The image could not be packed: {failure}.") from failure
        if failure is not None:
            raise failure


def packing(packed: Path, machine: Machine | None = None) -> list[str]:
    """Return the command that packs a tar stream on its standard input: the same stream gives the same bytes."""
    # gzip: the kernels of old clusters know nothing newer. Level 6 takes a third of level 9's time.
    level = ("-comp", "gzip", "-Xcompression-level", "6")
    # One date for all, so that the same packages give the same bytes.
    fixed = ("-all-root", "-root-mode", "755", "-no-xattrs", "-mkfs-time", DATED, "-all-time", DATED)
    quiet = ("-quiet", "-no-progress")
    program = (machine or Machine()).mksquashfs
    return [*dies_with_parent(), program, "-", str(packed), "-tar", *fixed, *level, *quiet]


def _cause(lines: Sequence[str], status: int) -> str:
    """Answer the lines that tell why a program failed, apt's own errors first."""
    errors = [line for line in lines if re.match(r"(E|Err|FATAL ERROR|.*: error)\b", line)]
    chosen = errors[:3] or [line for line in lines if line][-2:] or [f"exit status {status}"]
    return " / ".join(chosen)


def dies_with_parent() -> list[str]:
    """Answer the prefix for commands that must not outlive this process, even when it is killed."""
    return ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []


@contextlib.contextmanager
def _child(
    command: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own, so that a stop reaches all its children; none is left after."""
    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        env={**os.environ, **(env or {}), "LC_ALL": "C"},
    )
    try:
        yield process
    finally:
        _stop(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group: first so that it can clean up, then for certain."""
    for number, grace in ((signal.SIGTERM, STOP_GRACE), (signal.SIGKILL, None)):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)


@contextlib.contextmanager
def _locked(path: Path, on_progress: Progress) -> Iterator[None]:
    """Hold an exclusive lock; the file stays, because removing it would let two in."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_progress("waiting for another build of the same image")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _work_folder(destination: Path, key: str) -> Iterator[Path]:
    """Make the build's own folder, after removing what a killed build left. Needs the lock."""
    work = destination / f".{key}.building"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _earlier(destination: Path, key: str) -> BuiltImage | None:
    """Answer the image built before, if it is there and its bytes are still those."""
    path = destination / f"{key}.sqfs"
    try:
        record = json.loads((destination / f"{key}.json").read_text())
        if path.stat().st_size == record["size"] and _digest(path) == record["digest"]:
            return BuiltImage(path, record["digest"], record["size"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _publish(packed: Path, destination: Path, key: str, recipe: Recipe, suite: str) -> BuiltImage:
    """Put the image in its place; the record beside it comes last and makes it valid."""
    path, record = destination / f"{key}.sqfs", destination / f"{key}.json"
    built = BuiltImage(path, _digest(packed), packed.stat().st_size)
    draft = packed.with_name("image.json")
    described = {"name": recipe.name, "suite": suite, "digest": built.digest, "size": built.size}
    draft.write_text(json.dumps(described, indent=2) + "\n")
    for file in (packed, draft):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    packed.chmod(0o644)
    packed.replace(path)
    draft.replace(record)
    return built


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"

"""Puts the files of many attempts on a target: one tar stream, published by renames, each attempt on its own."""

from __future__ import annotations

import asyncio
import posixpath
import re
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from gateway.compute import scripts
from gateway.compute.tar_stream import TarMember, TarStream
from gateway.compute.transport.base import CommandResult, Transport
from gateway.errors import StagingFailed
from gateway.model.base import text_problem
from gateway.model.specification import path_problem

SLOWEST = 512 * 1024
"""Bytes a second that a link must manage."""
COPY_SECONDS = 1800
"""For one copy of a file or folder of the target."""
_CAUSE = re.compile(
    r"no space|quota|read-only|too large|permission denied|not permitted|stale|i/o error", re.IGNORECASE
)
RUN_OWNED = frozenset({"claim", "scheduler_id", "final.json", "status.jsonl", "manifest.json", "control", "reserve"})
"""Names in the control folder that staging never brings."""


@dataclass(frozen=True)
class StagedFile:
    """One file: its path below the folder, its bytes (or the gateway's file that holds them), its mode."""

    path: str
    content: bytes | Path
    mode: int = 0o644


@dataclass(frozen=True)
class TargetCopy:
    """A file or folder of the target that is copied into the job's folder.

    Attributes
    ----------
    path
        Below the job's folder.
    source
        Absolute; links in it are resolved on the target, and it must then be below one of `roots`, resolved too.
    """

    path: str
    source: str
    roots: Sequence[str]
    executable: bool = False


@dataclass(frozen=True)
class StagedAttempt:
    """The files of one attempt. Folders are absolute paths of the target."""

    job_id: str
    attempt: int
    job_folder: str
    control_folder: str
    inputs: Sequence[StagedFile] = ()
    control_files: Sequence[StagedFile] = ()
    copies: Sequence[TargetCopy] = ()


@dataclass(frozen=True)
class StagingOutcome:
    """What became of one attempt.

    Attributes
    ----------
    status
        ``staged``; ``already_claimed``: it runs or has run, nothing was touched; ``failed``.
    message
        Why it failed, in the words of the program that did.
    """

    status: Literal["staged", "already_claimed", "failed"]
    message: str | None = None


async def stage(transport: Transport, attempts: Sequence[StagedAttempt]) -> list[StagingOutcome]:
    """Stage `attempts`; their outcomes come in the same order, and one that is bad never spoils others.

    A claimed folder is never staged again. An unclaimed one is replaced, keeping its ``scheduler_id``. Where the
    job's folder is there already (an earlier attempt), inputs are laid over it.

    Raises
    ------
    StagingFailed
        Nothing could be staged for a reason that all share (disk full, read-only, no right …).
    TargetError
        The target could not be reached, or did not answer.
    """
    outcomes: dict[int, StagingOutcome] = {}
    groups: dict[tuple[str, str, int], list[int]] = {}
    for index, attempt in enumerate(attempts):
        if problem := attempt_problem(attempt):
            outcomes[index] = StagingOutcome("failed", problem)
        else:
            # What takes long to copy makes no other attempt wait for it, nor fail with it.
            workdir = posixpath.dirname(attempt.job_folder)
            groups.setdefault((_root(attempt), workdir, index if attempt.copies else -1), []).append(index)
    for (root, _, _), members in sorted(groups.items(), key=lambda group: group[0][2]):
        found = await _stage_group(transport, root, [attempts[index] for index in members])
        outcomes |= dict(zip(members, found, strict=True))
    return [outcomes[index] for index in range(len(attempts))]


def attempt_problem(attempt: StagedAttempt) -> str | None:
    """Say what is wrong with the paths of an attempt, or None."""
    for folder in (attempt.job_folder, attempt.control_folder):
        if not folder.startswith("/") or posixpath.normpath(folder) != folder or text_problem(folder):
            return f"{folder!r} is not a clean absolute path"
    if posixpath.commonpath([attempt.job_folder, attempt.control_folder]) == attempt.job_folder:
        return "the control folder lies in the job's folder"
    for file in attempt.inputs:
        if problem := path_problem(file.path):
            return f"input {file.path!r} {problem}"
    for copy in attempt.copies:
        if problem := path_problem(copy.path):
            return f"input {copy.path!r} {problem}"
    for file in attempt.control_files:
        if file.path in RUN_OWNED:
            return f"control file {file.path!r} is the run's own"
        if problem := path_problem(file.path):
            return f"control file {file.path!r} {problem}"
    return None


def _root(attempt: StagedAttempt) -> str:
    """``<workdir>/.gateway``, where temporary folders stand next to the final ones."""
    return posixpath.dirname(posixpath.dirname(attempt.control_folder))


async def _stage_group(transport: Transport, root: str, attempts: Sequence[StagedAttempt]) -> list[StagingOutcome]:
    names = _names(attempts)
    members = [_members(name, attempt) for name, attempt in zip(names, attempts, strict=True)]
    try:
        stream = await asyncio.to_thread(TarStream, [member for own in members for member in own])
    except OSError as error:
        raise StagingFailed(f"{error.filename or 'a file'} cannot be read: {error.strerror}") from None
    sizes = iter(stream.sizes)
    counts = []
    for own in members:
        total = sum(next(sizes) for _ in own)
        counts.append((sum(member.content is not None for member in own), total))
    copying = COPY_SECONDS * sum(len(attempt.copies) for attempt in attempts)
    timeout = 60 + stream.size / SLOWEST + copying
    try:
        data = cast(IO[bytes], stream)
        result = await transport.run(_script(root, attempts, names, counts), data=data, timeout=timeout)
    finally:
        await asyncio.to_thread(stream.close)
    if stream.problem is not None:
        raise StagingFailed(stream.problem)
    return _outcomes(result, names)


def _names(attempts: Sequence[StagedAttempt]) -> list[str]:
    """Return what each attempt is called in the stream: its job folder's own name, if nobody else has that."""
    found: list[str] = []
    for index, attempt in enumerate(attempts):
        folder, number = posixpath.split(attempt.control_folder)
        name = posixpath.basename(folder)
        usual = name == posixpath.basename(attempt.job_folder) and name not in found and number.isdigit()
        found.append(name if usual and not name.startswith(("-", ".")) else f".{index}")
    return found


def _members(name: str, attempt: StagedAttempt) -> list[TarMember]:
    """Return what the stream holds of an attempt: its files, the folders above them, and ``control``."""
    control = f"control/{name}/{posixpath.basename(attempt.control_folder)}"
    found = [TarMember(f"control/{name}", None, 0o755)]
    for place, contents, mode in ((f"job/{name}", attempt.inputs, 0o755), (control, attempt.control_files, 0o700)):
        found.append(TarMember(place, None, mode))
        found += [TarMember(f"{place}/{parent}", None, mode) for parent in _parents(contents)]
        found += [TarMember(f"{place}/{file.path}", file.content, file.mode & 0o755) for file in contents]
    return [*found, TarMember(f"{control}/control", b"", 0o644)]


def _parents(files: Sequence[StagedFile]) -> list[str]:
    """Return the folders of `files`, outer ones first."""
    found = {file.path[:i] for file in files for i, char in enumerate(file.path) if char == "/"}
    return sorted(found)


def _script(
    root: str, attempts: Sequence[StagedAttempt], names: Sequence[str], counts: Sequence[tuple[int, int]]
) -> str:
    columns: dict[str, Sequence[str]] = {
        "names": names,
        "jobs": [attempt.job_folder for attempt in attempts],
        "controls": [attempt.control_folder for attempt in attempts],
        "files": [str(files) for files, _ in counts],
        "bytes": [str(total) for _, total in counts],
    }
    copies = [(index, copy) for index, attempt in enumerate(attempts) for copy in attempt.copies]
    columns |= {
        "copy_index": [str(index) for index, _ in copies],
        "copy_path": [copy.path for _, copy in copies],
        "copy_source": [copy.source for _, copy in copies],
        "copy_mode": ["u+rwX,a+x" if copy.executable else "u+rwX" for _, copy in copies],
        "roots": list(dict.fromkeys(root for _, copy in copies for root in copy.roots)),
    }
    arrays = "".join(f"gw_stage_{name}=({shlex.join(values)})\n" for name, values in columns.items())
    arrays += f"gw_stage_copy_seconds={COPY_SECONDS}\n"
    words = shlex.join([root, secrets.token_hex(8), posixpath.dirname(attempts[0].job_folder)])
    return f"{scripts.read('staging')}\n{arrays}gw_stage {words}\n"


def _outcomes(result: CommandResult, names: Sequence[str]) -> list[StagingOutcome]:
    """Read the lines of the staging script.

    Raises
    ------
    StagingFailed
        Not one attempt arrived whole.
    """
    stdout, stderr, _ = result.text()
    complaints = [line.strip() for line in stderr.splitlines() if line.strip()]
    found: dict[int, StagingOutcome] = {}
    torn = 0
    for line in stdout.splitlines():
        number, _, rest = line.partition(" ")
        word, _, said = rest.partition(" ")
        if not number.isdigit() or int(number) >= len(names):
            continue
        index = int(number)
        if word == "staged":
            found[index] = StagingOutcome("staged")
        elif word == "already_claimed":
            found[index] = StagingOutcome("already_claimed")
        else:
            torn += word == "torn"
            found[index] = StagingOutcome("failed", said.strip()[:500] or _complaint(complaints, names[index]))
    if torn == len(names) or not found:
        raise StagingFailed(_complaint(complaints, None))
    missing = StagingOutcome("failed", _complaint(complaints, None))
    return [found.get(index, missing) for index in range(len(names))]


def _complaint(complaints: Sequence[str], name: str | None) -> str:
    """Pick the line that says why: one of the attempt's own before others, a cause before a consequence."""
    lines = [line for line in complaints if "Exiting with failure" not in line]
    own = [line for line in lines if name is not None and name in line] or lines
    line = next(
        (line for line in (*own, *lines) if _CAUSE.search(line)), own[0] if own else "the target did not say why"
    )
    # What tar says when a write ends early, whatever the reason.
    return line[:500] + (" (is the disk full, or a quota used up?)" if "Wrote only" in line else "")

"""Puts the files of many attempts on a target: one tar stream, published by renames, each attempt on its own."""

from __future__ import annotations

import asyncio
import io
import posixpath
import re
import secrets
import shlex
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from gateway.compute import scripts
from gateway.compute.transport.base import CommandResult, Transport
from gateway.errors import StagingFailed
from gateway.model.base import text_problem
from gateway.model.specification import path_problem

IN_MEMORY = 8 * 1024 * 1024
"""Bytes of the stream that are kept in memory; more goes through a file."""
RESERVE = 64 * 1024
"""Bytes that are kept for the final record; the target makes them."""
SLOWEST = 512 * 1024
"""Bytes a second that a link must manage."""
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
class StagedAttempt:
    """The files of one attempt. Folders are absolute paths of the target."""

    job_id: str
    attempt: int
    job_folder: str
    control_folder: str
    inputs: Sequence[StagedFile] = ()
    control_files: Sequence[StagedFile] = ()


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
    groups: dict[str, list[int]] = {}
    for index, attempt in enumerate(attempts):
        if problem := attempt_problem(attempt):
            outcomes[index] = StagingOutcome("failed", problem)
        else:
            groups.setdefault(_root(attempt), []).append(index)
    for root, members in groups.items():
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
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
        stream = cast(IO[bytes], spool)
        try:
            counts = await asyncio.to_thread(write_stream, stream, attempts)
        except OSError as error:
            raise StagingFailed(f"{error.filename or 'a file'} cannot be read: {error.strerror}") from None
        size = stream.tell()
        stream.seek(0)
        result = await transport.run(_script(root, attempts, counts), data=stream, timeout=60 + size / SLOWEST)
    return _outcomes(result, len(attempts))


def write_stream(stream: IO[bytes], attempts: Sequence[StagedAttempt]) -> list[tuple[int, int]]:
    """Write the tar stream; return (files, bytes) that each attempt will have, with ``control`` and ``reserve``."""
    counts = []
    now = int(time.time())
    # The GNU format carries names as they are; others name an encoding that the target may not have.
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8") as tar:
        for index, attempt in enumerate(attempts):
            files, total = 2, RESERVE
            for folder, contents, mode in (
                ("job", attempt.inputs, 0o755),
                ("control", attempt.control_files, 0o700),
            ):
                _add_folder(tar, f"{index}/{folder}", now, mode)
                for parent in _parents(contents):
                    _add_folder(tar, f"{index}/{folder}/{parent}", now, mode)
                for file in contents:
                    total += _add_file(tar, f"{index}/{folder}/{file.path}", file, now)
                    files += 1
            _add_file(tar, f"{index}/control/control", StagedFile("control", b""), now)
            counts.append((files, total))
    return counts


def _parents(files: Sequence[StagedFile]) -> list[str]:
    """Return the folders of `files`, outer ones first."""
    found = {file.path[:i] for file in files for i, char in enumerate(file.path) if char == "/"}
    return sorted(found)


def _add_folder(tar: tarfile.TarFile, name: str, now: int, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = tarfile.DIRTYPE, mode, now
    tar.addfile(info)


def _add_file(tar: tarfile.TarFile, name: str, file: StagedFile, now: int) -> int:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = file.mode & 0o755, now
    if isinstance(file.content, bytes):
        info.size = len(file.content)
        tar.addfile(info, io.BytesIO(file.content))
    else:
        with file.content.open("rb") as source:
            info.size = file.content.stat().st_size
            tar.addfile(info, source)
    return info.size


def _script(root: str, attempts: Sequence[StagedAttempt], counts: Sequence[tuple[int, int]]) -> str:
    columns: Mapping[str, Sequence[str]] = {
        "jobs": [attempt.job_folder for attempt in attempts],
        "controls": [attempt.control_folder for attempt in attempts],
        "files": [str(files) for files, _ in counts],
        "bytes": [str(total) for _, total in counts],
    }
    arrays = "".join(f"gw_stage_{name}=({shlex.join(values)})\n" for name, values in columns.items())
    return f"{scripts.read('staging')}\n{arrays}gw_stage {shlex.quote(root)} {secrets.token_hex(8)}\n"


def _outcomes(result: CommandResult, count: int) -> list[StagingOutcome]:
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
        if not number.isdigit() or int(number) >= count:
            continue
        index = int(number)
        if word == "staged":
            found[index] = StagingOutcome("staged")
        elif word == "already_claimed":
            found[index] = StagingOutcome("already_claimed")
        else:
            torn += word == "torn"
            found[index] = StagingOutcome("failed", said.strip()[:500] or _complaint(complaints, index))
    if torn == count or not found:
        raise StagingFailed(_complaint(complaints, None))
    missing = StagingOutcome("failed", _complaint(complaints, None))
    return [found.get(index, missing) for index in range(count)]


def _complaint(complaints: Sequence[str], index: int | None) -> str:
    """Pick the line that says why: one of the attempt's own before others, a cause before a consequence."""
    lines = [line for line in complaints if "Exiting with failure" not in line]
    own = [line for line in lines if index is not None and f" {index}/" in line] or lines
    line = next(
        (line for line in (*own, *lines) if _CAUSE.search(line)), own[0] if own else "the target did not say why"
    )
    # What tar says when a write ends early, whatever the reason.
    return line[:500] + (" (is the disk full, or a quota used up?)" if "Wrote only" in line else "")

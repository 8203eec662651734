"""A pass that the gateway runs itself, from a job's folder to a store, with the node's filters and manifest."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from gateway.compute.transport.base import RcloneRemote, Transport
from gateway.errors import NotFound, StoreError
from gateway.storage.content_types import guess
from gateway.storage.digests import remote_digests
from gateway.storage.filters import Transfer
from gateway.storage.manifest import ManifestFile, files_of_rows
from gateway.storage.names import clean_path
from gateway.storage.rclone import NAMES, SOURCE_MISSING, LogLine, Rclone, RcloneResult, address
from gateway.storage.stores.base import Place, Store

_SOURCE, _STORE = "SOURCE", "STORE"
# Links are never followed: a payload could lay one to any file that the account can read.
_SAFE = (*NAMES, "--skip-links", "--sftp-skip-links")
# One relay at a time holds at most about 100 MiB.
_BOUNDED = ("--transfers", "4", "--checkers", "8", "--buffer-size", "1Mi", "--multi-thread-streams", "0")
_UPLOADS = ("--azureblob-upload-concurrency", "4", "--s3-upload-concurrency", "4", "--low-level-retries", "2")
_MAX_LISTING = 1024 * 1024 * 1024


@dataclass(frozen=True)
class RelayOptions:
    """How a pass runs.

    Attributes
    ----------
    window
        Seconds: a background pass takes files that changed within it; None looks at all of them.
    settle
        Seconds that a file must be unchanged before a background pass takes it.
    bandwidth
        rclone's ``--bwlimit``, such as ``20M``.
    timeout
        Seconds for each transfer; None waits as long as it takes.
    """

    window: float | None = None
    settle: float = 2.0
    bandwidth: str | None = None
    timeout: float | None = None


@dataclass(frozen=True)
class Left:
    """What a pass found to copy and has not copied."""

    files: int = 0
    bytes: int = 0

    @classmethod
    def of(cls, stats: Mapping[str, Any]) -> Self:
        """Read rclone's statistics."""
        numbers = [stats.get(name) for name in ("totalTransfers", "transfers", "totalBytes", "bytes")]
        total, done, size, sent = (int(n) if isinstance(n, int | float) else 0 for n in numbers)
        return cls(max(0, total - done), max(0, size - sent))


@dataclass(frozen=True)
class TransferResult:
    """How one transfer of a pass ended.

    Attributes
    ----------
    exit_status
        rclone's; 0 too where the source folder does not exist, so that there was nothing to copy.
    copied
        What was copied: the path in the place, and its size in bytes.
    message
        The cause of a failure in one sentence.
    growing
        Whether nothing failed but files that were being written to.
    """

    transfer: Transfer
    exit_status: int
    copied: tuple[tuple[str, int], ...] = ()
    message: str | None = None
    growing: bool = False


@dataclass(frozen=True)
class RelayResult:
    """How a whole pass ended."""

    transfers: tuple[TransferResult, ...]

    @property
    def exit_status(self) -> int:
        """The worst exit status."""
        return max((result.exit_status for result in self.transfers), default=0)

    @property
    def growing(self) -> bool:
        """Whether nothing failed but files that were being written to."""
        failed = [result for result in self.transfers if result.exit_status]
        return bool(failed) and all(result.growing for result in failed)

    @property
    def copied(self) -> list[tuple[str, int]]:
        """What all transfers copied."""
        return [item for result in self.transfers for item in result.copied]

    @property
    def message(self) -> str | None:
        """The first failure's sentence."""
        return next((result.message for result in self.transfers if result.message), None)


async def relay_pass(
    source: RcloneRemote,
    store: Store,
    place: Place,
    transfers: Sequence[Transfer],
    *,
    final: bool,
    options: RelayOptions | None = None,
    rclone: Rclone | None = None,
    on_left: Callable[[Left], None] | None = None,
    again: Collection[ManifestFile] = (),
) -> RelayResult:
    """Copy what the transfers take from a job's folder to its place in a store.

    What is there already is left, so a pass that was cut short is simply run again. Nothing is ever deleted.
    One failing transfer does not keep the others from running.

    Parameters
    ----------
    source
        The job's folder: a local folder, or what `Transport.relay_source` gave.
    final
        The payload is over: look at every file. Otherwise only at those that have settled.
    on_left
        Called every few seconds with what the current transfer found to copy and has not copied.
    again
        Only these files, as `build_manifest` found them, and whatever the store has in their places.

    Raises
    ------
    StoreError, ConfigurationError
        The store's remote cannot be made, or rclone cannot be started.
    """
    options, rclone = options or RelayOptions(), rclone or Rclone()
    await store.prepare(place)
    remotes = {_SOURCE: source, _STORE: await store.relay_remote(place)}
    results = []
    for transfer in transfers:
        lines: Sequence[str] | None = transfer.final if final else transfer.running
        choice = ["--filter-from"]
        if again:
            lines, choice = _named(transfer, again), ["--ignore-times", "--files-from-raw"]
        if lines:
            results.append(await _copy(rclone, remotes, transfer, lines, final, options, choice, on_left))
    return RelayResult(tuple(results))


def _named(transfer: Transfer, files: Collection[ManifestFile]) -> list[str]:
    """Return the names, below the transfer's source folder, of those files that this transfer brings."""
    start = f"{transfer.destination_folder}/" if transfer.destination_folder else ""
    names = [file.path.removeprefix(start) for file in files if file.path.startswith(start)]
    sources = {file.source for file in files}
    return [name for name in names if _below(transfer.source_folder, name) in sources]


async def _copy(
    rclone: Rclone,
    remotes: dict[str, RcloneRemote],
    transfer: Transfer,
    lines: Sequence[str],
    final: bool,
    options: RelayOptions,
    choice: Sequence[str],
    on_left: Callable[[Left], None] | None,
) -> TransferResult:
    try:
        if not await _is_real_folder(rclone, remotes[_SOURCE], transfer.source_folder):
            return TransferResult(transfer, 0)
    except StoreError as error:
        return TransferResult(transfer, 1, (), error.message)
    copied: list[tuple[str, int]] = []

    def note(line: LogLine) -> None:
        if line.object is not None and line.size is not None and line.message.startswith("Copied"):
            copied.append((_below(transfer.destination_folder, line.object), line.size))

    def note_left(stats: Mapping[str, Any]) -> None:
        if on_left is not None:
            on_left(Left.of(stats))

    async with filter_file(lines) as file:
        arguments = ["copy", *pass_arguments(transfer, final, options), *choice, str(file)]
        arguments += [argument for remote in remotes.values() for argument in remote.arguments]
        arguments += [
            address(_SOURCE, remotes[_SOURCE], transfer.source_folder, folder=True),
            address(_STORE, remotes[_STORE], transfer.destination_folder, folder=True),
        ]
        try:
            result = await rclone.run(arguments, remotes, timeout=options.timeout, on_line=note, on_stats=note_left)
        except StoreError as error:
            return TransferResult(transfer, 1, tuple(copied), error.message)
    return TransferResult(transfer, result.exit_status, tuple(copied), result.message, _only_growing(result))


def _only_growing(result: RcloneResult) -> bool:
    """Say whether every file that was not copied was being written to."""
    failed = [line for line in result.messages if line.object is not None and line.level in ("error", "critical")]
    return bool(failed) and all("source file is being updated" in line.message for line in failed)


def pass_arguments(transfer: Transfer, final: bool, options: RelayOptions) -> list[str]:
    """Return rclone's options of one transfer. Pure."""
    found = [*_SAFE, *_BOUNDED, *_UPLOADS, "--stats", "5s", "--stats-log-level", "NOTICE"]
    if final:
        found += ["--fast-list"]
    else:
        found += ["--min-age", f"{options.settle:g}s"]
        if options.window is not None:
            found += ["--max-age", f"{options.window:g}s", "--no-traverse"]
    if transfer.content_type is not None:
        found += ["--header-upload", f"Content-Type: {transfer.content_type}"]
    if options.bandwidth is not None:
        found += ["--bwlimit", options.bandwidth]
    return found


async def _is_real_folder(rclone: Rclone, source: RcloneRemote, folder: str) -> bool:
    """Whether a folder below the job's is there, no name on the way being a link: rclone would follow it."""
    names = clean_path(folder, empty=True).split("/") if folder else []
    for depth, name in enumerate(names):
        where = address(_SOURCE, source, *names[:depth], folder=True)
        arguments = ["lsjson", "--dirs-only", "--no-modtime", *_SAFE, *source.arguments, where]
        result = await rclone.run(arguments, {_SOURCE: source}, timeout=300)
        if result.exit_status:
            error = result.error("looking at the job's folder")
            if result.exit_status == SOURCE_MISSING or isinstance(error, NotFound):
                if depth == 0:  # nothing can be said of what is not there any more, least of all that it is copied
                    raise StoreError("the job's folder is not there")
                return False
            raise error
        if name not in {row["Name"] for row in json.loads(result.stdout)}:
            return False
    return True


async def build_manifest(
    source: RcloneRemote,
    transfers: Sequence[Transfer],
    *,
    transport: Transport | None = None,
    folder: str | None = None,
    rclone: Rclone | None = None,
) -> dict[str, ManifestFile]:
    """List what the final pass of these transfers takes, with digests; by path in the place.

    Parameters
    ----------
    transport, folder
        The target and the job's folder on it: digests are computed there. Only a folder of this machine needs
        neither; for others digests stay None without them.

    Raises
    ------
    StoreError, TargetError
        The folder cannot be listed.
    """
    rclone = rclone or Rclone()
    local = source.options.get("type") == "local"
    found: dict[str, ManifestFile] = {}
    for transfer in transfers:
        if not await _is_real_folder(rclone, source, transfer.source_folder):
            continue
        rows = await _rows(rclone, source, transfer, digests=local)
        if not local and transport is not None and folder is not None:
            below = f"{folder.rstrip('/')}/{transfer.source_folder}".rstrip("/")
            sizes = {row["Path"]: row["Size"] for row in rows}
            digests = await remote_digests(transport, below, sizes)
            md5 = await remote_digests(transport, below, sizes, "md5sum")
            for row in rows:
                row["Hashes"] = {"sha256": digests.get(row["Path"]), "md5": md5.get(row["Path"])}
        try:
            files = files_of_rows(rows, transfer.destination_folder, transfer.source_folder)
        except ValueError as error:
            raise StoreError(f"the job's folder cannot be described: {error}") from None
        for file in files:
            content_type = transfer.content_type or guess(file.path)
            found.setdefault(file.path, replace(file, content_type=content_type))
    return found


async def _rows(rclone: Rclone, source: RcloneRemote, transfer: Transfer, *, digests: bool) -> list[dict[str, Any]]:
    """Rows of lsjson: the files of one transfer's final pass."""
    async with filter_file(transfer.final) as file:
        arguments = ["lsjson", "-R", "--files-only", "--no-mimetype", "--filter-from", str(file)]
        arguments += ["--hash", "--hash-type", "sha256", "--hash-type", "md5"] if digests else []
        where = address(_SOURCE, source, transfer.source_folder, folder=True)
        arguments += [*_SAFE, *source.arguments, where]
        result = await rclone.run(arguments, {_SOURCE: source}, max_output=_MAX_LISTING)
    if result.exit_status:
        error = result.error("listing the job's folder")
        raise error if isinstance(error, StoreError) else StoreError(error.message)
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


@asynccontextmanager
async def filter_file(lines: Sequence[str]) -> AsyncIterator[Path]:
    """Put a filter into a private file for the time of a run."""
    descriptor, name = tempfile.mkstemp(prefix="gateway-filter-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write("".join(line + "\n" for line in lines))
        yield Path(name)
    finally:
        os.unlink(name)  # noqa: PTH108

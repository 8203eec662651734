"""A pass that the gateway runs itself, from a job's folder to a store, with the node's filters and manifest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from gateway.compute.transport.base import RcloneRemote, Transport
from gateway.errors import NotFound, StoreError
from gateway.storage.content_types import guess
from gateway.storage.digests import remote_digests
from gateway.storage.filters import Transfer
from gateway.storage.manifest import ManifestFile, files_of_rows
from gateway.storage.rclone import LogLine, Rclone, RcloneResult, address
from gateway.storage.relay_follow import Followed, Sending, send_grown
from gateway.storage.relay_source import BOUNDED, SAFE, SOURCE, STORE, UPLOADS, filter_file, is_real_folder, rows_of
from gateway.storage.stores.base import Place, Store


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
    left
        Of followed files, what was left for a later pass.
    """

    transfer: Transfer
    exit_status: int
    copied: tuple[tuple[str, int], ...] = ()
    message: str | None = None
    growing: bool = False
    left: Left = Left()


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
    def left(self) -> Left:
        """What was left of followed files."""
        found = [result.left for result in self.transfers]
        return Left(sum(left.files for left in found), sum(left.bytes for left in found))

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
    followed: Followed | None = None,
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
    followed
        What background passes have sent of files that are only appended to, which is kept there. None: they are
        left to the final pass.

    Raises
    ------
    StoreError, ConfigurationError
        The store's remote cannot be made, or rclone cannot be started.
    """
    options, rclone = options or RelayOptions(), rclone or Rclone()
    await store.prepare(place)
    remotes = {SOURCE: source, STORE: await store.relay_remote(place)}
    results = []
    for transfer in transfers:
        if transfer.follow and not final and not again:
            if followed is not None and transfer.running:
                results.append(await _follow(rclone, remotes, transfer, options, followed))
            continue
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
        if not await is_real_folder(rclone, remotes[SOURCE], transfer.source_folder):
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
            address(SOURCE, remotes[SOURCE], transfer.source_folder, folder=True),
            address(STORE, remotes[STORE], transfer.destination_folder, folder=True),
        ]
        try:
            result = await rclone.run(arguments, remotes, timeout=options.timeout, on_line=note, on_stats=note_left)
        except StoreError as error:
            return TransferResult(transfer, 1, tuple(copied), error.message)
    return TransferResult(transfer, result.exit_status, tuple(copied), result.message, _only_growing(result))


async def _follow(
    rclone: Rclone,
    remotes: Mapping[str, RcloneRemote],
    transfer: Transfer,
    options: RelayOptions,
    followed: Followed,
) -> TransferResult:
    """Send what has grown of a transfer's files, as far as whole lines go."""
    sending = Sending(rclone, remotes[SOURCE], remotes[STORE], tuple(_headers_and_limit(transfer, options)))
    try:
        sent, left = await send_grown(sending, transfer, followed)
    except (StoreError, NotFound) as error:
        return TransferResult(transfer, 1, (), error.message)
    return TransferResult(transfer, 0, tuple(sent), left=Left(*left))


def _only_growing(result: RcloneResult) -> bool:
    """Say whether every file that was not copied was being written to."""
    failed = [line for line in result.messages if line.object is not None and line.level in ("error", "critical")]
    return bool(failed) and all("source file is being updated" in line.message for line in failed)


def pass_arguments(transfer: Transfer, final: bool, options: RelayOptions) -> list[str]:
    """Return rclone's options of one transfer. Pure."""
    found = [*SAFE, *BOUNDED, *UPLOADS, "--stats", "5s", "--stats-log-level", "NOTICE"]
    if final:
        found += ["--fast-list"]
    else:
        found += ["--min-age", f"{options.settle:g}s"]
        if options.window is not None:
            found += ["--max-age", f"{options.window:g}s", "--no-traverse"]
    return [*found, *_headers_and_limit(transfer, options)]


def _headers_and_limit(transfer: Transfer, options: RelayOptions) -> list[str]:
    found = []
    if transfer.content_type is not None:
        found += ["--header-upload", f"Content-Type: {transfer.content_type}"]
    if options.bandwidth is not None:
        found += ["--bwlimit", options.bandwidth]
    return found


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
        if not await is_real_folder(rclone, source, transfer.source_folder):
            continue
        rows = await rows_of(rclone, source, transfer.source_folder, transfer.final, digests=local)
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


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name

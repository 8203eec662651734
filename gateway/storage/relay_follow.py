"""Files that are only ever appended to, as background passes of the gateway send them: see ``sync_follow.sh``.

They are sent at every pass in which they have grown, as a copy that ends where a line ends: no reader of the store ever
sees a torn line, or less than before. The final pass sends them as they are.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.compute.transport.base import RcloneRemote
from gateway.storage.filters import Transfer, exactly
from gateway.storage.rclone import Rclone, address
from gateway.storage.relay_source import BOUNDED, SAFE, SOURCE, STORE, UPLOADS, filter_file, is_real_folder, rows_of

ROOM = 512 * 1024 * 1024
"""Bytes of copies at the same time."""
MOST = 200
"""Files in one pass."""
LARGE = 32 * 1024 * 1024
"""Bytes from which on a file is sent only when it has grown by a tenth."""
LONGEST_LINE = 64 * 1024
"""A file whose last line is longer has no lines."""


class Followed:
    """How much of each file the store has. Kept for a job and a store while the job runs."""

    def __init__(self) -> None:
        self._sent: dict[Hashable, dict[str, int]] = {}

    def of(self, key: Hashable) -> Mapping[str, int]:
        """Return what was sent of the files of a transfer, by their paths."""
        return self._sent.get(key, {})

    def note(self, key: Hashable, lengths: Mapping[str, int]) -> None:
        """Note what the store has now."""
        self._sent.setdefault(key, {}).update(lengths)

    def grown(self, key: Hashable, sizes: Mapping[str, int]) -> list[str]:
        """Return which files are to be sent, as many as a pass takes; the least known first."""
        known, room = self.of(key), ROOM
        chosen: list[str] = []
        for name in sorted(sizes, key=lambda name: (known.get(name, -1), name)):
            size, sent = sizes[name], known.get(name, -1)
            if size <= sent or size > room or len(chosen) >= MOST or "\n" in name or "\r" in name:
                continue
            if size > LARGE and size < sent + sent // 10:
                continue
            chosen.append(name)
            room -= size
        return chosen

    def left(self, key: Hashable, sizes: Mapping[str, int]) -> tuple[int, int]:
        """Return how many files are not sent whole, and how many bytes of them."""
        known = self.of(key)
        rest = [size - known.get(name, 0) for name, size in sizes.items() if size > known.get(name, -1)]
        return len(rest), sum(rest)


@dataclass(frozen=True)
class Sending:
    """From where, to where, and with which further options of rclone."""

    rclone: Rclone
    source: RcloneRemote
    store: RcloneRemote
    options: tuple[str, ...]


async def send_grown(
    sending: Sending, transfer: Transfer, followed: Followed
) -> tuple[list[tuple[str, int]], tuple[int, int]]:
    """Send what has grown of a transfer's files, by way of copies on the gateway.

    Returns
    -------
    tuple
        What was sent: paths in the place, and sizes. How many files, and bytes, are left for a later pass.

    Raises
    ------
    StoreError, NotFound
    """
    rclone, folder = sending.rclone, transfer.source_folder
    if not await is_real_folder(rclone, sending.source, folder):
        return [], (0, 0)
    rows = await rows_of(rclone, sending.source, folder, transfer.running, digests=False)
    sizes = {str(row["Path"]): int(row["Size"]) for row in rows}
    key = (folder, transfer.destination_folder, transfer.content_type)
    lengths: dict[str, int] = {}
    if chosen := followed.grown(key, sizes):
        with tempfile.TemporaryDirectory(prefix="gateway-follow-") as copies:
            here = RcloneRemote({"type": "local"}, copies)
            # Another size than the listing's is no error: the file grows.
            growing = ("--ignore-size", "--ignore-checksum", "--local-no-check-updated")
            await _copy(sending, (sending.source, folder), (here, ""), chosen, growing)
            lengths = await asyncio.to_thread(whole_lines, Path(copies), chosen, followed.of(key))
            if lengths:
                options = (*UPLOADS, "--ignore-times", "--no-traverse")
                await _copy(sending, (here, ""), (sending.store, transfer.destination_folder), list(lengths), options)
                followed.note(key, lengths)
    start = f"{transfer.destination_folder}/" if transfer.destination_folder else ""
    return [(start + name, size) for name, size in lengths.items()], followed.left(key, sizes)


async def _copy(
    sending: Sending,
    source: tuple[RcloneRemote, str],
    store: tuple[RcloneRemote, str],
    names: Sequence[str],
    options: Sequence[str],
) -> None:
    """Copy named files. Folders are listed for that, because rclone follows links in names that it is given."""
    remotes = {SOURCE: source[0], STORE: store[0]}
    async with filter_file(exactly(names)) as file:
        arguments = ["copy", *SAFE, *BOUNDED, *options, *sending.options, "--filter-from", str(file)]
        arguments += [argument for remote in remotes.values() for argument in remote.arguments]
        arguments += [address(SOURCE, *source, folder=True), address(STORE, *store, folder=True)]
        result = await sending.rclone.run(arguments, remotes)
    if result.exit_status:
        raise result.error("sending files that grow")


def whole_lines(folder: Path, names: Sequence[str], sent: Mapping[str, int]) -> dict[str, int]:
    """Cut the copies below a folder where their last line ends; return the lengths of those that say something new.

    The others are removed.
    """
    found = {}
    for name in names:
        file = folder / name
        if file.is_symlink() or not file.is_file():
            continue
        length = _last_line_end(file)
        if length is None or length <= sent.get(name, -1):
            file.unlink()
            continue
        times = file.stat()
        os.truncate(file, length)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        found[name] = length
    return found


def _last_line_end(file: Path) -> int | None:
    """Return how many bytes whole lines take; None where no line ends in the last 64 KiB. An empty file is whole."""
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size == 0:
            return 0
        stream.seek(max(size - LONGEST_LINE, 0))
        end = stream.read(LONGEST_LINE).rfind(b"\n")
    return None if end < 0 else max(size - LONGEST_LINE, 0) + end + 1

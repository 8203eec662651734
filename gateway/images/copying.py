"""One file from one place to another by rclone: inside of the service where both are in the same one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.compute.transport.base import RcloneRemote
from gateway.storage.names import clean_path
from gateway.storage.rclone import Rclone, address

_SOURCE, _STORE = "SOURCE", "STORE"
_OPTIONS = (
    "--ignore-times",
    "--local-encoding",
    "Raw",
    "--sftp-encoding",
    "Raw",
    "--low-level-retries",
    "3",
    "--buffer-size",
    "4Mi",
    "--multi-thread-streams",
    "0",
    "--azureblob-upload-concurrency",
    "4",
    "--s3-upload-concurrency",
    "4",
    "--stats",
    "2s",
    "--stats-log-level",
    "NOTICE",
    "--header-upload",
    "Content-Type: application/octet-stream",
)


def local_remote(folder: Path) -> RcloneRemote:
    """Return a folder of this machine as a remote."""
    return RcloneRemote({"type": "local"}, str(folder))


def same_service(one: RcloneRemote, other: RcloneRemote) -> bool:
    """Whether rclone can have the service copy by itself: one account, and no folder of this machine."""
    return one.options == other.options and one.options.get("type") != "local"


async def copy_file(
    source: RcloneRemote,
    source_path: str,
    destination: RcloneRemote,
    path: str,
    *,
    what: str,
    bandwidth: int | None = None,
    on_bytes: Callable[[int], None] | None = None,
    rclone: Rclone | None = None,
) -> None:
    """Copy one file, whatever stands at its destination. A copy that was cut short is begun anew.

    Parameters
    ----------
    what
        What is tried, for the sentence about a failure.
    bandwidth
        Bytes a second.
    on_bytes
        Told every few seconds how many bytes have gone.

    Raises
    ------
    StoreError, NotFound
    """
    there = _SOURCE if same_service(source, destination) else _STORE
    arguments = ["copyto", *_OPTIONS, *destination.arguments]
    if bandwidth is not None:
        arguments += ["--bwlimit", f"{bandwidth}B"]
    arguments += [address(_SOURCE, source, clean_path(source_path)), address(there, destination, clean_path(path))]

    def note(stats: Mapping[str, Any]) -> None:
        sent = stats.get("bytes")
        if on_bytes is not None and isinstance(sent, int):
            on_bytes(sent)

    result = await (rclone or Rclone()).run(arguments, {_SOURCE: source, there: destination}, on_stats=note)
    if result.exit_status:
        raise result.error(what)

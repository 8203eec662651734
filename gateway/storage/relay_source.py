"""What passes of the gateway's own read of a job's folder, and rclone's options for that."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.compute.transport.base import RcloneRemote
from gateway.errors import NotFound, StoreError
from gateway.storage.names import clean_path
from gateway.storage.rclone import NAMES, SOURCE_MISSING, Rclone, address

SOURCE, STORE = "SOURCE", "STORE"
"""Names of the remotes."""
# Links are never followed: a payload could lay one to any file that the account can read.
SAFE = (*NAMES, "--skip-links", "--sftp-skip-links")
# One relay at a time holds at most about 100 MiB.
BOUNDED = ("--transfers", "4", "--checkers", "8", "--buffer-size", "1Mi", "--multi-thread-streams", "0")
UPLOADS = ("--azureblob-upload-concurrency", "4", "--s3-upload-concurrency", "4", "--low-level-retries", "2")
_MAX_LISTING = 1024 * 1024 * 1024


async def is_real_folder(rclone: Rclone, source: RcloneRemote, folder: str) -> bool:
    """Whether a folder below the job's is there, no name on the way being a link: rclone would follow it."""
    names = clean_path(folder, empty=True).split("/") if folder else []
    for depth, name in enumerate(names):
        where = address(SOURCE, source, *names[:depth], folder=True)
        arguments = ["lsjson", "--dirs-only", "--no-modtime", *SAFE, *source.arguments, where]
        result = await rclone.run(arguments, {SOURCE: source}, timeout=300)
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


async def rows_of(
    rclone: Rclone, source: RcloneRemote, folder: str, lines: Sequence[str], *, digests: bool
) -> list[dict[str, Any]]:
    """Return rows of lsjson: the files below a folder of the job that a filter takes."""
    async with filter_file(lines) as file:
        arguments = ["lsjson", "-R", "--files-only", "--no-mimetype", "--filter-from", str(file)]
        arguments += ["--hash", "--hash-type", "sha256", "--hash-type", "md5"] if digests else []
        where = address(SOURCE, source, folder, folder=True)
        arguments += [*SAFE, *source.arguments, where]
        result = await rclone.run(arguments, {SOURCE: source}, max_output=_MAX_LISTING)
    if result.exit_status:
        error = result.error("listing the job's folder")
        raise error if isinstance(error, StoreError) else StoreError(error.message)
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


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

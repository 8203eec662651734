"""What the gateway lets rclone-python do, and how.

That library puts its arguments into a shell line, knows no exit codes, cannot be cancelled and reads its
configuration from a file. So it is given nothing but the fixed word ``STORE:``: where that leads stands in
a 0600 configuration file of this call (as an ``alias``, which takes its path literally). No name that came
from a user or a file system reaches its shell. Passes, listings and reads run the binary
(`gateway.storage.rclone`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from rclone_python import rclone as library
from rclone_python.utils import RcloneException

from gateway.compute.transport.base import RcloneRemote
from gateway.errors import StoreError
from gateway.storage.rclone import LogLine, RcloneResult, address, scrub, secret_values

T = TypeVar("T")

REMOTE = "STORE:"
_CLOSED = re.compile(r"[A-Za-z0-9_./+-]+\Z")
_WORD = re.compile(r"[A-Za-z0-9_./=,:+-]+\Z")
_BOUNDS = ("--retries 1", "--low-level-retries 1", "--contimeout 5s", "--timeout 30s")
_one_at_a_time = threading.Lock()  # the library keeps the program's path in a global


class RcloneLibrary:
    """Small, rare operations on a store, by rclone-python.

    Parameters
    ----------
    binary
        Path of rclone.
    data
        The gateway's data folder; the short-lived configuration files stand below it.
    """

    def __init__(self, binary: Callable[[], Path], data: Path) -> None:
        self._binary = binary
        self._data = data
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="rclone-python")

    async def make(self, remote: RcloneRemote) -> None:
        """Make the folder or bucket that `remote` leads to."""
        await self._call("making the folder", remote, lambda args: library.mkdir(REMOTE, args=args))

    async def top(self, remote: RcloneRemote) -> list[dict[str, Any]]:
        """Return the rows of the folder itself, not of those below it."""
        return await self._call("listing", remote, lambda args: library.ls(REMOTE, max_depth=1, args=args))

    async def version(self) -> str:
        """Return the version of the binary that runs."""
        nothing = RcloneRemote({"type": "memory"}, "")
        return str(await self._call("asking for the version", nothing, lambda args: library.version(args=args)))

    async def _call(self, what: str, remote: RcloneRemote, work: Callable[[list[str]], T]) -> T:
        def run() -> T:
            with _one_at_a_time, self._configuration(remote) as (program, config):
                library.set_executable_file(str(program))
                arguments = [*_BOUNDS, f"--config {config}", *checked(remote.arguments)]
                try:
                    return work(arguments)
                except RcloneException as error:
                    raise _failure(what, str(error.error_msg), remote) from None

        return await asyncio.get_running_loop().run_in_executor(self._executor, run)

    @contextlib.contextmanager
    def _configuration(self, remote: RcloneRemote) -> Iterator[tuple[Path, Path]]:
        folder = Path(tempfile.mkdtemp(prefix="rclone-", dir=self._folder()))
        try:
            program, config = folder / "rclone", folder / "rclone.conf"
            program.symlink_to(self._binary())
            with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(configuration(remote))
            yield program, config
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self) -> Path:
        """A folder whose path a shell takes as it is: the data folder, else a temporary one."""
        for folder in (self._data, Path(tempfile.gettempdir())):
            if _CLOSED.match(str(folder)):
                folder.mkdir(parents=True, exist_ok=True)
                return folder
        raise StoreError(f"the data folder {self._data} has a name that rclone-python's shell would not take")

    def close(self) -> None:
        """End the thread."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def configuration(remote: RcloneRemote) -> str:
    """Return the text of a configuration in which ``STORE:`` is the place that `remote` leads to.

    Raises
    ------
    StoreError
        A value has a line break, or blanks around it, which such a file cannot hold.
    """
    base = dict(remote.options)
    sections = {"BASE": base, "STORE": {"type": "alias", "remote": address("BASE", remote)}}
    lines = []
    for name, options in sections.items():
        lines.append(f"[{name}]")
        for key, value in options.items():
            if value != value.strip() or any(character in value for character in "\r\n\0"):
                raise StoreError(f"the option {key} of this store cannot stand in rclone's configuration file")
            lines.append(f"{key} = {value}")
    return "\n".join(lines) + "\n"


def checked(arguments: tuple[str, ...]) -> list[str]:
    """Return those arguments that are plain words.

    Others (headers with a user's name …) mean uploads, which this library is not used for.
    """
    kept: list[str] = []
    skip = False
    for argument, following in zip(arguments, (*arguments[1:], "--"), strict=False):
        if skip:
            skip = False
        elif argument.startswith("--") and not following.startswith("--"):
            skip = True
            if _WORD.match(argument) and _WORD.match(following):
                kept.append(f"{argument} {following}")
        elif _WORD.match(argument):
            kept.append(argument)
    return kept


def _failure(what: str, text: str, remote: RcloneRemote) -> StoreError:
    clean = scrub(" ".join(text.split()), secret_values({"BASE": remote}))[:500]
    error = RcloneResult(1, messages=(LogLine("error", clean),)).error(what)
    return error if isinstance(error, StoreError) else StoreError(error.message)

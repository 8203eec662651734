"""A folder on a target, read and written by remote bash. Links below its root are never followed."""

from __future__ import annotations

import asyncio
import secrets
import shlex
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from gateway.compute.transport.base import Transport
from gateway.errors import NotFound, StoreError, StoreUnreachable, TargetError, TargetUnreachable
from gateway.storage.content_types import guess
from gateway.storage.names import from_disk, to_disk
from gateway.storage.stores.base import StoredObject

PIECE = 4 * 1024 * 1024
MAX_OUTPUT = 64 * 1024 * 1024
MAX_LISTING = 512 * 1024 * 1024
"""Bytes that a command may print, and that a listing may."""
FOLDERS_AT_ONCE = 100
_MISSING, _REFUSED = 44, 45

# A folder is entered name by name, and where that led is looked at: a link put there in between is seen.
_ENTER = f"""\
unset CDPATH; LC_ALL=C
enter() {{
  local at name
  if [ "$make" = 1 ] && [ ! -d "$root" ]; then mkdir -p -- "$root" || exit 1; fi
  if [ ! -e "$root" ]; then exit {_MISSING}; fi
  cd -P -- "$root" || exit 1
  at=$PWD
  for name; do
    if [ "$make" = 1 ] && [ ! -e "./$name" ]; then mkdir -- "./$name" 2>/dev/null; fi
    if [ -L "./$name" ]; then exit {_REFUSED}; fi
    if [ ! -e "./$name" ]; then exit {_MISSING}; fi
    cd -P -- "./$name" 2>/dev/null || exit {_REFUSED}
    at=${{at%/}}/$name
    if [ "$PWD" != "$at" ]; then exit {_REFUSED}; fi
  done
}}
folders() {{
  local name
  local -a missing=()
  for name; do if [ ! -e "./$name" ]; then missing+=("./$name"); fi; done
  if [ "${{#missing[@]}}" != 0 ]; then mkdir -- "${{missing[@]}}"; fi
  for name; do
    if [ -L "./$name" ]; then printf 'refused\\n'; elif [ -d "./$name" ]; then printf 'there\\n'
    elif [ -e "./$name" ]; then printf 'refused\\n'; else printf 'missing\\n'; fi
  done
}}
unlink_all() {{
  local path status=0
  local -a names
  while IFS= read -r -d '' path; do
    IFS=/ read -r -d '' -a names < <(printf '%s\\0' "$path")
    (
      last=${{names[${{#names[@]}} - 1]}}
      unset "names[${{#names[@]}} - 1]"
      enter "$@" ${{names[@]+"${{names[@]}}"}}
      if [ -L "./$last" ] || [ ! -f "./$last" ]; then exit 0; fi
      rm -f -- "./$last"
    ) </dev/null
    case $? in 0 | {_MISSING}) ;; *) status=1 ;; esac
  done
  return "$status"
}}
regular() {{
  if [ -L "./$1" ] || [ ! -f "./$1" ]; then exit {_MISSING}; fi
}}
"""


class TargetFolder:
    """A root that the administrator chose on a target, and what is below it.

    Paths are in rclone's standard names, relative and clean (`gateway.storage.names`).

    Parameters
    ----------
    root
        Absolute path on the target.
    """

    def __init__(self, transport: Transport, root: str) -> None:
        self._transport = transport
        self._root = root
        self._wanted: dict[str, asyncio.Future[None]] = {}
        self._making: asyncio.Task[None] | None = None

    async def make(self, path: str) -> None:
        """Make a folder and those above it. Those who ask while one command runs share the next one."""
        path = path.strip("/")
        if path not in self._wanted:
            self._wanted[path] = asyncio.get_running_loop().create_future()
        made = self._wanted[path]
        if self._making is None:
            self._making = asyncio.create_task(self._make_wanted())
        await asyncio.shield(made)

    async def _make_wanted(self) -> None:
        try:
            while self._wanted:
                await asyncio.sleep(0)  # those who are about to ask
                wanted, self._wanted = self._wanted, {}
                below: dict[str, list[str]] = {}
                for path in wanted:
                    below.setdefault(path.rpartition("/")[0], []).append(path)
                for folder, paths in below.items():
                    outcomes = await self._make_below(folder, paths)
                    for path, error in zip(paths, outcomes, strict=True):
                        _settle(wanted[path], error)
        finally:
            self._making = None

    async def _make_below(self, folder: str, paths: Sequence[str]) -> list[Exception | None]:
        """Make folders of one folder; say of each why it is not there, or None."""
        what = f"making {paths[0]!a}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
        names = " ".join(quoted(to_disk(path.rpartition("/")[2])) for path in paths)
        count = len(paths)
        try:
            lines = (
                (await self._run(what, folder, f"folders {names} 2>&1", make=True))
                .decode(errors="replace")
                .splitlines()
            )
        except Exception as error:
            return [error] * count
        complaint = " ".join(" ".join(lines[:-count]).split())[-300:]
        words = {"there": None, "refused": "a link or a file stands where a folder should be", "missing": complaint}
        found = [words.get(line, complaint) for line in lines[-count:]]
        return [
            None if said is None else StoreError(f"making {path!a}: {said or 'it is not there'}")
            for path, said in zip(paths, found, strict=True)
        ]

    async def walk(self, path: str) -> list[StoredObject]:
        """Return the regular files below `path`, by paths relative to it; none where it is not there."""
        command = r"find . -mindepth 1 -type f -printf '%P\0%s\0%T@\0'"
        try:
            out = await self._run(f"listing {path!a}", path, command, timeout=300, max_output=MAX_LISTING)
        except NotFound:
            return []
        return _rows(out)

    async def walk_all(self) -> AsyncIterator[StoredObject]:
        """Yield the regular files below the root's folders; links among those are not followed."""
        try:
            out = await self._run("listing the root", "", r"find . -mindepth 1 -maxdepth 1 -type d -printf '%P\0'")
        except NotFound:
            return
        folders = sorted(out.split(b"\0")[:-1])
        for start in range(0, len(folders), FOLDERS_AT_ONCE):
            names = " ".join(quoted(b"./" + name) for name in folders[start : start + FOLDERS_AT_ONCE])
            # A folder that has gone meanwhile is no failure; one that cannot be read is.
            command = rf"""
for name in {names}; do
  if [ -d "$name" ] && [ ! -L "$name" ]; then find "$name" -type f -printf '%p\0%s\0%T@\0' || exit 1; fi
done"""
            for found in _rows(await self._run("listing", "", command, timeout=600, max_output=MAX_LISTING)):
                yield replace(found, path=found.path.removeprefix("./"))

    async def stat(self, path: str) -> StoredObject | None:
        """Return one regular file."""
        folder, name = _split(path)
        command = rf"regular {name}; find ./{name} -maxdepth 0 -type f -printf '%s\0%T@\0'"
        try:
            size, modified, _ = (await self._run(f"looking at {path!a}", folder, command)).split(b"\0")
        except (NotFound, ValueError):
            return None
        return _stored(path, size, modified)

    async def read(self, path: str, offset: int, length: int | None) -> AsyncIterator[bytes]:
        """Yield the bytes of a regular file in pieces of at most 4 MiB.

        Raises
        ------
        NotFound
            There is none, or it is a link, a device …
        """
        folder, name = _split(path)
        left = length
        while left is None or left > 0:
            count = PIECE if left is None else min(PIECE, left)
            flags = "nofollow,skip_bytes,count_bytes,fullblock"
            command = f"regular {name}; dd if=./{name} iflag={flags} bs=1M skip={offset} count={count} status=none"
            piece = await self._run(f"reading {path!a}", folder, command, timeout=300)
            if piece:
                yield piece
            if len(piece) < count:
                return
            offset += len(piece)
            left = None if left is None else left - len(piece)

    async def write(self, path: str, data: bytes) -> None:
        """Put a file in one step: readers see the old one or the new one."""
        folder, name = _split(path)
        part = f"./.{secrets.token_hex(8)}.part"
        command = f"cat >{part} && mv -fT -- {part} ./{name} || {{ rm -f -- {part}; exit 1; }}"
        await self._run(f"writing {path!a}", folder, command, data=data, make=True, timeout=300)

    async def remove(self, path: str) -> None:
        """Remove a folder and everything below it; a link in its place is removed itself."""
        folder, name = _split(path)
        try:
            await self._run(f"removing {path!a}", folder, f"rm -rf -- ./{name}", timeout=600)
        except NotFound:
            return

    async def unlink(self, folder: str, paths: Sequence[str]) -> None:
        """Remove regular files below `folder` with one command; those that are not there are no error."""
        names = " ".join(quoted(name) for name in to_disk(folder).split(b"/") if name)
        listed = b"".join(to_disk(path) + b"\0" for path in paths)
        await self._run(f"removing {len(paths)} files", "", f"unlink_all {names}", data=listed, timeout=600)

    async def _run(
        self,
        what: str,
        folder: str,
        command: str,
        *,
        data: bytes = b"",
        make: bool = False,
        timeout: float = 60,
        max_output: int = MAX_OUTPUT,
    ) -> bytes:
        names = " ".join(quoted(name) for name in to_disk(folder).split(b"/") if name)
        head = f"root={shlex.quote(self._root)}; make={int(make)}\n"
        script = f"{head}{_ENTER}enter {names}\n{command}\n"
        try:
            result = await self._transport.run(script, data=data, timeout=timeout, max_output=max_output)
        except TargetUnreachable as error:
            raise StoreUnreachable(f"{what}: {error.message}") from None
        except TargetError as error:
            raise StoreError(f"{what}: {error.message}") from None
        if result.exit_status == _MISSING:
            raise NotFound(f"{what}: there is no such thing on the target")
        if result.exit_status == _REFUSED:
            raise StoreError(f"{what}: a link or a file stands where a folder should be")
        if result.exit_status:
            words = " ".join(result.stderr.decode(errors="replace").split())[-300:]
            raise StoreError(f"{what}: {words or f'ended with status {result.exit_status}'}")
        return result.stdout


def quoted(name: bytes) -> str:
    """Return a name as one word of bash, whatever bytes it holds."""
    try:
        return shlex.quote(name.decode())
    except UnicodeDecodeError:
        return "$'" + "".join(f"\\x{byte:02x}" for byte in name) + "'"


def _settle(made: asyncio.Future[None], error: Exception | None) -> None:
    if made.done():
        return
    if error is None:
        made.set_result(None)
    else:
        made.set_exception(error)
        made.exception()  # everybody who asked may have given up


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, quoted(to_disk(name))


def _rows(out: bytes) -> list[StoredObject]:
    fields = out.split(b"\0")[:-1]
    rows = zip(fields[::3], fields[1::3], fields[2::3], strict=True)
    return [_stored(from_disk(name), size, modified) for name, size, modified in rows]


def _stored(path: str, size: bytes, modified: bytes) -> StoredObject:
    return StoredObject(path, int(size), datetime.fromtimestamp(float(modified), UTC), guess(path))

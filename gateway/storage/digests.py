"""SHA-256 and MD5 of files on a target, computed there by ``sha256sum`` and ``md5sum``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from gateway.compute.transport.base import Transport
from gateway.errors import RemoteCommandFailed
from gateway.storage.names import to_disk

_MAX_NAMES = 2000
_MAX_BYTES = 8 * 1024**3
_SLOW_DISK = 30 * 1024**2  # bytes per second: how long an answer may take
_LINE = re.compile(rb"(\\?)([0-9a-f]{64}|[0-9a-f]{32}) [ *](.*)\Z", re.DOTALL)
_ESCAPES = {b"\\n": b"\n", b"\\r": b"\r", b"\\\\": b"\\"}


def digests_section(folder: str, program: str = "sha256sum") -> str:
    """Return bash that prints the digests of files below `folder`; it reads their names, ended by NUL. Pure."""
    enter = f"cd -P -- {shlex.quote(folder)} || exit 1"
    return f"unset CDPATH; LC_ALL=C\n{enter}\nxargs -0 -r {program} -b -- || true"


def parse_digests(text: bytes) -> dict[bytes, str]:
    """Read what ``sha256sum`` or ``md5sum`` printed: digest by name, escapes undone. Pure."""
    found = {}
    for line in text.split(b"\n"):
        if match := _LINE.match(line):
            name = match[3]
            if match[1]:
                name = re.sub(rb"\\[nr\\]", lambda escape: _ESCAPES[escape[0]], name)
            found[name] = match[2].decode()
    return found


async def remote_digests(
    transport: Transport, folder: str, sizes: Mapping[str, int], program: str = "sha256sum"
) -> dict[str, str]:
    """Return digests (64 hexadecimal digits; 32 of MD5) of files below `folder` of a target.

    Parameters
    ----------
    sizes
        Bytes by path in rclone's standard names. A file that is gone or cannot be read gets no digest.
    program
        ``sha256sum`` or ``md5sum``.

    Raises
    ------
    TargetError
        The target did not answer, or has no ``sha256sum``.
    """
    answer: dict[str, str] = {}
    for names in _batches(sizes):
        on_disk = {b"./" + to_disk(name): name for name in names}
        timeout = 120 + sum(sizes[name] for name in names) / _SLOW_DISK
        data = b"".join(name + b"\0" for name in on_disk)
        result = await transport.run(digests_section(folder, program), data=data, timeout=timeout)
        if result.exit_status:
            words = " ".join(result.stderr.decode(errors="replace").split())[-300:]
            raise RemoteCommandFailed(f"the digests of {folder} could not be computed: {words}")
        for name, digest in parse_digests(result.stdout).items():
            if name in on_disk:
                answer[on_disk[name]] = digest
    return answer


def _batches(sizes: Mapping[str, int]) -> Iterator[Sequence[str]]:
    batch: list[str] = []
    total = 0
    for name, size in sizes.items():
        if batch and (len(batch) >= _MAX_NAMES or total + size > _MAX_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(name)
        total += size
    if batch:
        yield batch

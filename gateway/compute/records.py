"""Reading the records of many attempts by one section of a remote command, and the meaning of its answer. Pure."""

from __future__ import annotations

import base64
import binascii
import shlex
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.compute import scripts
from gateway.errors import RemoteCommandFailed
from gateway.model.records import MAX_FINAL, Claim, FinalRecord, parse_claim, parse_final_or_none, parse_lines

CHUNK = 64 * 1024
"""Bytes of one followed file that one tick carries at most."""
MAX_MANIFEST = 256 * 1024 * 1024
"""Bytes of a manifest, unpacked; a longer one is not read."""
FOLLOWED = ("status.jsonl", "sync.jsonl")
SYNC_STATES = frozenset({"idle", "pass", "final", "done", "failed", "died"})


@dataclass(frozen=True)
class RecordRequest:
    """What to read of one attempt.

    Attributes
    ----------
    offsets
        Bytes of ``status.jsonl`` and ``sync.jsonl`` that were read before; missing means 0.
    """

    control_folder: str
    offsets: Mapping[str, int] = field(default_factory=dict)
    want_manifest: bool = False


@dataclass(frozen=True)
class RecordUpdate:
    """What one tick found of one attempt.

    Attributes
    ----------
    exists
        Whether the control folder is there.
    final
        The final record; None where there is none that can be believed.
    status_lines, sync_lines
        Whole new lines that are JSON objects.
    offsets
        Where to go on next time, for the files that had news. A file that became shorter is read from its start.
    sizes
        Bytes of ``payload.out``, ``payload.err``, ``pull.log`` and ``script.log``, those that are there.
    sync_state
        The last word of ``sync.state``, None where there is none.
    manifest
        The node's manifest, if it was asked for and is there.
    """

    exists: bool = False
    claim: Claim | None = None
    final: FinalRecord | None = None
    status_lines: list[dict[str, Any]] = field(default_factory=list)
    sync_lines: list[dict[str, Any]] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    sync_state: str | None = None
    manifest: bytes | None = None


def records_section(requests: Sequence[RecordRequest], chunk: int = CHUNK) -> str:
    """Return bash text that prints what is new of all `requests`; `parse_records` reads it.

    Parameters
    ----------
    chunk
        Bytes of each followed file at most: many requests in one answer must still fit into it.
    """
    for request in requests:
        if not request.control_folder.startswith("/") or not request.control_folder.isprintable():
            raise ValueError(f"{request.control_folder!r} is not an absolute path without control characters")
    folders = " ".join(shlex.quote(request.control_folder) for request in requests)
    wanted = " ".join(f"'{_wanted(request)}'" for request in requests)
    return (
        f"{scripts.read('records')}\n"
        f"gw_record_folders=({folders})\ngw_record_wanted=({wanted})\n"
        f"{f'gw_records {chunk} {MAX_FINAL + 1}' if requests else 'echo end'}\n"
    )


def _wanted(request: RecordRequest) -> str:
    numbers = [max(0, int(request.offsets.get(name, 0))) for name in FOLLOWED]
    return " ".join(map(str, [*numbers, int(request.want_manifest)]))


def parse_records(stdout: bytes, chunk: int = CHUNK) -> dict[str, RecordUpdate]:
    """Return the updates by control folder; `chunk` as in `records_section`.

    Raises
    ------
    RemoteCommandFailed
        The answer is cut off, so that nothing is known.
    """
    lines = iter(stdout.split(b"\n"))
    found: dict[str, RecordUpdate] = {}
    raw: dict[str, Any] = {}
    for line in lines:
        word, _, rest = line.partition(b" ")
        if word == b"end":
            return found
        if word in (b"folder", b"missing"):
            raw = {"exists": word == b"folder", "offsets": {}, "sizes": {}}
            found[rest.decode("utf-8", "replace")] = RecordUpdate(**raw)
            folder = rest.decode("utf-8", "replace")
        elif raw:
            _take(raw, word, rest, lines, chunk)
            found[folder] = RecordUpdate(**raw)
    raise RemoteCommandFailed("the answer about the jobs' records is cut off")


def _take(raw: dict[str, Any], word: bytes, rest: bytes, lines: Iterator[bytes], longest: int) -> None:
    """Add what one line (and the block that follows it) says."""
    if word == b"size":
        name, _, number = rest.partition(b" ")
        raw["sizes"][name.decode("ascii", "replace")] = _number(number)
    elif word == b"claim":
        raw["claim"] = parse_claim(rest.decode("ascii", "replace").replace("|", "\n"))
    elif word == b"state":
        states = [part for part in rest.decode("ascii", "replace").split("|") if part in SYNC_STATES]
        raw["sync_state"] = states[-1] if states else None
    elif word == b"final":
        raw["final"] = parse_final_or_none(_block(lines))
    elif word == b"chunk":
        name, _, start = rest.partition(b" ")
        _follow(raw, name.decode("ascii", "replace"), _number(start), _block(lines), longest)
    elif word in (b"manifest", b"manifest_gzip"):
        raw["manifest"] = _unpack(rest, word == b"manifest_gzip")


def _follow(raw: dict[str, Any], name: str, start: int, chunk: bytes, longest: int) -> None:
    found, used = parse_lines(chunk)
    if not used and len(chunk) >= longest:
        used = len(chunk)  # no line of a script's is that long: give it up, or nothing after it is ever read
    raw["status_lines" if name == "status.jsonl" else "sync_lines"] = found
    raw["offsets"][name] = start + used


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) < 19 else 0


def _block(lines: Iterator[bytes]) -> bytes:
    """Return the bytes of the hexadecimal lines up to the dot."""
    pieces = []
    for line in lines:
        if line == b".":
            break
        pieces.append(line)
    try:
        return bytes.fromhex(b"".join(pieces).decode("ascii"))
    except ValueError:
        return b""


def _unpack(text: bytes, packed: bool) -> bytes | None:
    try:
        content = base64.b64decode(text, validate=True)
        if not packed:
            return content
        unpacker = zlib.decompressobj(wbits=31)
        content = unpacker.decompress(content, MAX_MANIFEST)
    except (binascii.Error, zlib.error):
        return None
    return content if unpacker.eof else None

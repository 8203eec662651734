"""Reading the records of many attempts by one section of a remote command, and the meaning of its answer. Pure."""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
import shlex
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gateway.compute import scripts
from gateway.errors import RemoteCommandFailed
from gateway.model.records import (
    MAX_FINAL,
    MAX_SYNC,
    Claim,
    FinalRecord,
    SyncRecord,
    parse_claim,
    parse_final_or_none,
    parse_lines,
    parse_sync,
)

CHUNK = 64 * 1024
"""Bytes of one followed file that one tick carries at most."""
MAX_MANIFEST = 256 * 1024 * 1024
"""Bytes of a manifest, unpacked; a longer one is not read."""
FOLLOWED = ("status.jsonl", "sync.jsonl")
NEWS = 16 * 1024 * 1024
"""Bytes of news that one command carries (three characters a byte): well below a transport's limit."""
MANY = 20_000
"""Jobs of which the same is read in tick after tick: what is made of it is kept."""
_SIGNATURE = re.compile(r"[0-9]{1,20}\.[0-9.]{1,40}\Z")


@dataclass(frozen=True)
class KnownClaim:
    """A claim that was read before, with the inode and time of its file: as long as they are the same, so is it."""

    signature: str
    claim: Claim

    def as_json(self) -> list[str]:
        """Return what is kept with the attempt."""
        return [self.signature, self.claim.scheduler_id, self.claim.token]

    @staticmethod
    def from_json(value: Any) -> KnownClaim | None:
        """Read what `as_json` wrote; None for anything else."""
        if not isinstance(value, list) or len(value) != 3 or not all(isinstance(part, str) for part in value):
            return None
        if not _SIGNATURE.match(value[0]):
            return None
        return _known(*value)


@lru_cache(MANY)
def _known(signature: str, scheduler_id: str, token: str) -> KnownClaim:
    return KnownClaim(signature, Claim(scheduler_id, token))


@dataclass(frozen=True)
class RecordRequest:
    """What to read of one attempt.

    Attributes
    ----------
    offsets
        Bytes of ``status.jsonl`` and ``sync.jsonl`` that were read before; missing means 0.
    known
        The claim that was read before.
    synced
        Inode and time of the ``sync.json`` that was read before.
    """

    control_folder: str
    offsets: Mapping[str, int] = field(default_factory=dict)
    want_manifest: bool = False
    known: KnownClaim | None = None
    synced: str | None = None


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
    known
        The claim to go on with, where another one was read than before.
    manifest
        The node's manifest, if it was asked for and is there.
    sync, synced
        How far the stores are behind, where another ``sync.json`` was read than before; None where it cannot be
        believed. Its inode and time.
    """

    exists: bool = False
    claim: Claim | None = None
    final: FinalRecord | None = None
    status_lines: Sequence[dict[str, Any]] = ()
    sync_lines: Sequence[dict[str, Any]] = ()
    offsets: Mapping[str, int] = field(default_factory=dict)
    known: KnownClaim | None = None
    manifest: bytes | None = None
    sync: SyncRecord | None = None
    synced: str | None = None


def records_section(requests: Sequence[RecordRequest], chunk: int = CHUNK, news: int = NEWS) -> str:
    """Return bash text that prints what is new of all `requests`; `parse_records` reads it.

    Parameters
    ----------
    chunk
        Bytes of each followed file at most.
    news
        Bytes of all of them together: what is left over is read the next time.
    """
    if not requests:
        return "echo end\n"
    for request in requests:
        if not request.control_folder.startswith("/") or not request.control_folder.isprintable():
            raise ValueError(f"{request.control_folder!r} is not an absolute path without control characters")
    root = posixpath.commonprefix([request.control_folder for request in requests])
    root = root[: root.rfind("/") + 1]
    folders = " ".join(shlex.quote(request.control_folder[len(root) :]) for request in requests)
    wanted = " ".join(f"'{_wanted(request)}'" for request in requests)
    return (
        f"{scripts.read('records')}\n"
        f"gw_record_root={shlex.quote(root)}\ngw_record_folders=({folders})\n"
        f"gw_record_wanted=({wanted})\n"
        f"gw_records {chunk} {MAX_FINAL + 1} {news} {MAX_SYNC + 1}\n"
    )


def _wanted(request: RecordRequest) -> str:
    numbers = [max(0, int(request.offsets.get(name, 0))) for name in FOLLOWED]
    signature = request.known.signature if request.known is not None else "-"
    synced = request.synced if request.synced is not None and _SIGNATURE.match(request.synced) else "-"
    return f"{numbers[0]} {numbers[1]} {int(request.want_manifest)} {signature} {synced}"


def parse_records(stdout: bytes, requests: Sequence[RecordRequest], chunk: int = CHUNK) -> dict[str, RecordUpdate]:
    """Return the updates by control folder; `requests` and `chunk` as in `records_section`.

    A folder is left out of which not everything could be read: nothing is known of it.

    Raises
    ------
    RemoteCommandFailed
        The answer is cut off, so that nothing is known.
    """
    lines = iter(stdout.split(b"\n"))
    found: dict[int, dict[str, Any]] = {}
    raw: dict[str, Any] = {}
    for line in lines:
        word, _, rest = line.partition(b" ")
        if word == b"end":
            break
        if word == b"no":
            raise RemoteCommandFailed("the target has no awk")
        if word == b"folder":
            number = _number(rest)
            raw = found.setdefault(number, {"exists": True, "offsets": {}}) if number < len(requests) else {}
        elif raw:
            _take(raw, word, rest, lines, chunk)
    else:
        raise RemoteCommandFailed("the answer about the jobs' records is cut off")
    return {
        request.control_folder: _update(request, found.get(number))
        for number, request in enumerate(requests)
        if not found.get(number, {}).get("later")
    }


def _update(request: RecordRequest, raw: dict[str, Any] | None) -> RecordUpdate:
    claim = request.known.claim if request.known is not None else None
    return _unchanged(claim) if raw is None else RecordUpdate(**{"claim": claim, **raw})


@lru_cache(MANY)
def _unchanged(claim: Claim | None) -> RecordUpdate:
    """Return what most jobs of most ticks have: nothing new."""
    return RecordUpdate(True, claim)


def _take(raw: dict[str, Any], word: bytes, rest: bytes, lines: Iterator[bytes], longest: int) -> None:
    """Add what one line (and the block that follows it) says."""
    if word in (b"missing", b"unclaimed"):
        raw["exists"], raw["claim"] = word != b"missing", None
    elif word == b"later":
        raw["later"] = True
    elif word == b"claim":
        signature, _, text = rest.decode("ascii", "replace").partition(" ")
        raw["claim"] = claim = parse_claim(text.replace("|", "\n"))
        if claim is not None and _SIGNATURE.match(signature):
            raw["known"] = KnownClaim(signature, claim)
    elif word == b"final":
        raw["final"] = parse_final_or_none(_block(lines))
    elif word == b"sync":
        raw["synced"], raw["sync"] = rest.decode("ascii", "replace"), parse_sync(_block(lines))
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

"""The node's manifest, and its comparison with what a store lists. Pure.

The node's manifest is a claim by whatever ran on the node: it is read as hostile input, and believed only as
far as the store's own listing bears it out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.errors import StoreError
from gateway.storage.names import clean_path, comparable
from gateway.storage.stores.base import StoredObject

MAX_BYTES = 256 * 1024 * 1024
MAX_FILES = 1_000_000
RESERVED = ".gateway"


@dataclass(frozen=True)
class ManifestFile:
    """One file as the node (or the gateway's own pass) saw it. `path` is where it lands in the place.

    Attributes
    ----------
    digest
        ``sha256:…``; None until it is known.
    source
        Where it was found, relative to the job's folder; None where nobody said.
    md5
        32 hexadecimal digits of the same bytes, which stores list; it is compared with them, and never signed.
    """

    path: str
    size: int
    modified_at: datetime | None = None
    digest: str | None = None
    content_type: str | None = None
    source: str | None = field(default=None, compare=False)
    md5: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ManifestTransfer:
    """What one transfer claims to have brought to one store."""

    store: str
    source: str
    destination: str
    exit_status: int
    files: tuple[ManifestFile, ...]


@dataclass(frozen=True)
class PlannedTransfer:
    """What the gateway told the node: transfer `n` of a job's script. Folders as in `filters.Transfer`."""

    store: str
    source: str
    destination: str


@dataclass(frozen=True)
class Manifest:
    """A whole manifest."""

    job: str
    attempt: int
    token: str
    at: datetime | None
    transfers: tuple[ManifestTransfer, ...]

    def files(self, store: str) -> dict[str, ManifestFile]:
        """Return what is claimed to be in `store`, by path."""
        return {file.path: file for part in self.transfers if part.store == store for file in part.files}

    def exit_status(self, store: str) -> int | None:
        """Return the worst exit status of the transfers to `store`; None where there was none."""
        return max((part.exit_status for part in self.transfers if part.store == store), default=None)


@dataclass(frozen=True)
class Comparison:
    """A manifest against a store's listing; paths in order.

    Attributes
    ----------
    extra
        In the store, not in the manifest; the gateway's own records are left out.
    """

    matched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    wrong_size: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every claimed file is there with its size."""
        return not self.missing and not self.wrong_size


def parse_manifest(
    data: bytes,
    plan: Sequence[PlannedTransfer] | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    max_files: int = MAX_FILES,
) -> Manifest:
    """Read the node's ``manifest.json``.

    Parameters
    ----------
    plan
        The transfers in the script's order. Where the files land is taken from it, whatever the node says: the
        node knows rclone paths only. None: the node's own word must be a folder below the place.
    max_bytes, max_files
        Bounds; more is refused.

    Raises
    ------
    ValueError
        It is not a manifest; the text says what is wrong, without quoting more than a little of it.
    """
    if len(data) > max_bytes:
        raise ValueError(f"the manifest has {len(data)} bytes, more than {max_bytes}")
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("the manifest is not JSON") from None
    top = _mapping(raw, "the manifest")
    if top.get("version") != 1:
        raise ValueError("the manifest's version is not 1")
    transfers: list[ManifestTransfer] = []
    seen: set[tuple[str, str]] = set()
    items = _list(top.get("transfers"), "transfers")
    if plan is not None and len(items) != len(plan):
        raise ValueError(f"the manifest has {len(items)} transfers, and {len(plan)} were planned")
    for at, item in enumerate(items):
        transfer = _transfer(_mapping(item, "a transfer"), plan[at] if plan is not None else None)
        for place in ((transfer.store, file.path) for file in transfer.files):
            # Two names with bytes that are not UTF-8 may honestly look the same in rclone's JSON.
            if place in seen and "\N{REPLACEMENT CHARACTER}" not in place[1]:
                raise ValueError("the manifest names one path twice")
            seen.add(place)
        if len(seen) > max_files:
            raise ValueError(f"the manifest names more than {max_files} files")
        transfers.append(transfer)
    return Manifest(
        _text(top.get("job"), "job"),
        _number(top.get("attempt"), "attempt"),
        _text(top.get("token"), "token"),
        _time(top.get("at")),
        tuple(transfers),
    )


def files_of_rows(rows: Iterable[Any], destination: str, source: str = "") -> tuple[ManifestFile, ...]:
    """Turn rows of ``rclone lsjson`` over the folder `source` into files below `destination`.

    Raises
    ------
    ValueError
        A row is not one.
    """
    return tuple(_file(_mapping(row, "a file"), destination, source) for row in rows)


def compare(claimed: Mapping[str, ManifestFile], stored: Mapping[str, StoredObject]) -> Comparison:
    """Compare what was claimed with what the store lists, by path and size.

    Names with bytes that are not UTF-8 are one name in the JSON of rclone; they are compared in that form.
    """
    have: dict[str, list[StoredObject]] = {}
    for path, found in stored.items():
        have.setdefault(comparable(path), []).append(found)
    matched, missing, wrong_size = [], [], []
    wanted = {comparable(path) for path in claimed}
    for path, file in sorted(claimed.items()):
        candidates = have.get(comparable(path), ())
        if not candidates:
            missing.append(path)
        elif any(found.size == file.size for found in candidates):
            matched.append(path)
        else:
            wrong_size.append(path)
    extra = [
        path
        for path in sorted(stored)
        if comparable(path) not in wanted and path != RESERVED and not path.startswith(RESERVED + "/")
    ]
    return Comparison(tuple(matched), tuple(missing), tuple(wrong_size), tuple(extra))


def _transfer(item: Mapping[str, Any], planned: PlannedTransfer | None) -> ManifestTransfer:
    store = _text(item.get("store"), "store")
    source = _folder(item.get("source"), "source")
    if planned is not None:
        if (store, source) != (planned.store, planned.source):
            raise ValueError("the manifest's transfers are not those that were planned")
        destination = planned.destination
    else:
        destination = _folder(item.get("destination"), "destination")
    rows = _list(item.get("files"), "files")
    return ManifestTransfer(
        store,
        source,
        destination,
        _number(item.get("exit_status"), "exit_status"),
        files_of_rows(rows, destination, source),
    )


def _file(row: Mapping[str, Any], destination: str, source: str) -> ManifestFile:
    below = _text(row.get("Path"), "Path", limit=4096)
    path = _clean(f"{destination}/{below}" if destination else below)
    if path.split("/", 1)[0] == RESERVED:
        raise ValueError(f"the manifest names {RESERVED!r}, which is reserved for the gateway")
    hashes = row.get("Hashes")
    sha256 = _digest(hashes.get("sha256"), 64) if isinstance(hashes, dict) else None
    return ManifestFile(
        path,
        _number(row.get("Size"), "Size"),
        _time(row.get("ModTime")),
        sha256 and f"sha256:{sha256}",
        source=f"{source}/{below}" if source else below,
        md5=_digest(hashes.get("md5"), 32) if isinstance(hashes, dict) else None,
    )


def _digest(value: Any, length: int) -> str | None:
    if value in (None, ""):
        return None
    text = _text(value, "a digest").lower()
    if len(text) != length or not set(text) <= set("0123456789abcdef"):
        raise ValueError("the manifest holds something that is not a digest")
    return text


def _folder(value: Any, what: str) -> str:
    text = _text(value, what, limit=4096).removesuffix("/")
    return _clean(text) if text else ""


def _clean(path: str) -> str:
    try:
        return clean_path(path)
    except StoreError as error:
        raise ValueError(f"the manifest: {error.message}") from None


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not an object")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{what} is not a list")
    return value


def _text(value: Any, what: str, *, limit: int = 200) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise ValueError(f"{what} is not a text of at most {limit} characters")
    return value


def _number(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"{what} is not a number from 0 on")
    return value


def _time(value: Any) -> datetime | None:
    if value in (None, ""):
        return None
    try:
        moment = datetime.fromisoformat(_text(value, "a time"))
    except ValueError:
        raise ValueError("the manifest holds something that is not a time") from None
    if moment.tzinfo is None:
        raise ValueError("the manifest holds a time without its zone")
    return moment

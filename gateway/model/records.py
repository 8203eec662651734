"""What a job's own records say (docs/job-folder.md), read with suspicion. Pure.

Records come from a machine where people's code runs: whatever is torn, forged or not of the right type is nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

MAX_FINAL = 64 * 1024
"""Bytes of a final record; a longer one is not believed."""

MAX_SYNC = 16 * 1024
"""Bytes of what the syncer says of its stores; more is not believed."""

OUTCOMES = frozenset({"ended", "stopped", "not_started"})
FINAL_REASONS = frozenset(
    {
        "exit_code",
        "signalled",
        "out_of_memory",
        "walltime",
        "cancelled_by_user",
        "terminated",
        "image_pull_failed",
        "runtime_missing",
        "node_failed",
    }
)

_TOKEN = re.compile(r"[0-9a-f]{32}\Z")
_SCHEDULER_ID = re.compile(r"[!-~]{1,200}\Z")
_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)[0-9]{0,3}Z\Z")
_CLAIM = re.compile(r"scheduler_id=([!-~]{1,200})\ntoken=([0-9a-f]{32})\n?\Z")


@dataclass(frozen=True)
class Claim:
    """Which run of the scheduler may run the payload of an attempt."""

    scheduler_id: str
    token: str


@dataclass(frozen=True)
class PassRecord:
    """How the last pass to one store ended, as the node says."""

    store: str
    state: str
    exit_status: int | None


@dataclass(frozen=True)
class FinalRecord:
    """An attempt's verdict as its script wrote it; times stay the node's own text.

    Attributes
    ----------
    outcome
        ``ended``, ``stopped`` or ``not_started``.
    exit_code
        None when the payload was never started.
    reason
        None only for ``ended`` with exit code 0.
    image
        ``path``, ``digest`` and ``cached``, as far as they were known.
    manifest
        Whether the node left a manifest.
    """

    job: str
    attempt: int
    scheduler_id: str
    token: str
    host: str
    outcome: str
    exit_code: int | None
    reason: str | None
    message: str | None
    claimed_at: str | None
    payload_started_at: str | None
    payload_ended_at: str | None
    ended_at: str | None
    image: dict[str, Any]
    passes: tuple[PassRecord, ...]
    manifest: bool

    def as_json(self) -> dict[str, Any]:
        """Return the record in its own shape, ready for JSON."""
        return {"version": 1, **asdict(self), "passes": [asdict(item) for item in self.passes]}


@dataclass(frozen=True)
class Unsent:
    """What one store lacks of what a job wrote, as the node says.

    Attributes
    ----------
    bytes, files
        None where the node does not know.
    lag
        Seconds that the oldest of them had waited, by the node's clock alone; None where nothing waits.
    """

    store: str
    bytes: int | None
    files: int | None
    lag: float | None


@dataclass(frozen=True)
class SyncRecord:
    """How far the stores of a run are behind (``sync.json``)."""

    token: str
    stores: tuple[Unsent, ...]


def parse_claim(text: str) -> Claim | None:
    """Read the two lines of a claim; None where they are not what a script writes."""
    match = _CLAIM.match(text)
    return Claim(match[1], match[2]) if match else None


def parse_final(content: bytes) -> FinalRecord:
    """Read a final record.

    Raises
    ------
    ValueError
        It is torn, of another version, or a value has not the right type.
    """
    if len(content) > MAX_FINAL:
        raise ValueError("the final record is too long")
    raw = _json(content)
    if not isinstance(raw, dict):
        raise ValueError("the final record is not an object")
    take = _Taker(raw)
    if take.whole("version", 1, 1) != 1:
        raise ValueError("the final record has another version")
    record = FinalRecord(
        job=take.text("job", 64),
        attempt=take.whole("attempt", 1, 10_000),
        scheduler_id=take.text("scheduler_id", 200, _SCHEDULER_ID),
        token=take.text("token", 32, _TOKEN),
        host=take.optional_text("host", 255) or "",
        outcome=take.word("outcome", OUTCOMES),
        exit_code=None if raw.get("exit_code") is None else take.whole("exit_code", 0, 255),
        reason=None if raw.get("reason") is None else take.word("reason", FINAL_REASONS),
        message=take.optional_text("message", 16_384),
        claimed_at=take.optional_text("claimed_at", 40),
        payload_started_at=take.optional_text("payload_started_at", 40),
        payload_ended_at=take.optional_text("payload_ended_at", 40),
        ended_at=take.optional_text("ended_at", 40),
        image=_image(raw.get("image")),
        passes=_passes(raw.get("passes")),
        manifest=raw.get("manifest") is True,
    )
    _check_consistent(record)
    return record


def parse_final_or_none(content: bytes) -> FinalRecord | None:
    """Read a final record; None where it cannot be believed."""
    try:
        return parse_final(content)
    except ValueError:
        return None


def parse_lines(chunk: bytes) -> tuple[list[dict[str, Any]], int]:
    """Read the whole lines of a JSON-lines file.

    Returns
    -------
    tuple
        The lines that are JSON objects, and how many bytes were used up: a line without its end is left for the
        next time.
    """
    end = chunk.rfind(b"\n") + 1
    found = []
    for line in chunk[:end].split(b"\n"):
        try:
            value = _json(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found, end


def _json(content: bytes) -> Any:
    """Parse JSON without the words that JSON does not have (NaN …)."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    try:
        return json.loads(content.decode("utf-8"), parse_constant=refuse)
    except RecursionError:
        raise ValueError("too deep") from None


class _Taker:
    """Takes typed values out of an untrusted object."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw

    def text(self, key: str, longest: int, pattern: re.Pattern[str] | None = None) -> str:
        value = self.raw.get(key)
        if not isinstance(value, str) or len(value) > longest or (pattern and not pattern.match(value)):
            raise ValueError(f"{key} is not right")
        return value.encode("utf-8", "replace").decode()

    def optional_text(self, key: str, longest: int) -> str | None:
        return None if self.raw.get(key) is None else self.text(key, longest)

    def word(self, key: str, known: frozenset[str]) -> str:
        value = self.raw.get(key)
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"{key} is not a known word")
        return value

    def whole(self, key: str, lowest: int, highest: int) -> int:
        value = self.raw.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError(f"{key} is not right")
        return value


def _check_consistent(record: FinalRecord) -> None:
    if record.outcome == "not_started" and record.exit_code is not None:
        raise ValueError("a payload that was not started has no exit code")
    if record.outcome == "ended" and record.exit_code is None:
        raise ValueError("a payload that ended has an exit code")
    if (record.reason is None) != (record.outcome == "ended" and record.exit_code == 0):
        raise ValueError("only a payload that ended with 0 has no reason")


def _image(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        return {}
    kept: dict[str, Any] = {}
    for key in ("path", "digest"):
        if isinstance(raw.get(key), str):
            kept[key] = _Taker(raw).text(key, 4096)
    if isinstance(raw.get("cached"), bool):
        kept["cached"] = raw["cached"]
    return kept


def _passes(raw: Any) -> tuple[PassRecord, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list) or len(raw) > 64 or not all(isinstance(item, dict) for item in raw):
        raise ValueError("passes is not a list of objects")
    takers = [_Taker(item) for item in raw]
    return tuple(
        PassRecord(
            take.text("store", 64),
            take.text("state", 32),
            None if take.raw.get("exit_status") is None else take.whole("exit_status", 0, 255),
        )
        for take in takers
    )


def parse_sync(content: bytes) -> SyncRecord | None:
    """Read what the syncer says of its stores; None where it cannot be believed."""
    try:
        raw = _json(content) if len(content) <= MAX_SYNC else None
        if not isinstance(raw, dict):
            return None
        take = _Taker(raw)
        take.whole("version", 1, 1)
        stores = raw.get("stores")
        if not isinstance(stores, list) or len(stores) > 64 or not all(isinstance(item, dict) for item in stores):
            return None
        at = _moment(take, "at")
        found = tuple(_unsent(_Taker(item), at) for item in stores)
        return SyncRecord(take.text("token", 32, _TOKEN), found)
    except ValueError:
        return None


def _unsent(take: _Taker, at: datetime) -> Unsent:
    """Read one store; a backlog that is not told is not known."""
    size = None if take.raw.get("backlog_bytes") is None else take.whole("backlog_bytes", 0, 2**62)
    files = None if take.raw.get("backlog_files") is None else take.whole("backlog_files", 0, 2**40)
    lag = None
    if take.raw.get("oldest") is not None:
        lag = max(0.0, (at - _moment(take, "oldest")).total_seconds())
    return Unsent(take.text("store", 64), size, files, lag)


def _moment(take: _Taker, key: str) -> datetime:
    match = _MOMENT.match(take.text(key, 40))
    if match is None:
        raise ValueError(f"{key} is no moment")
    return datetime.fromisoformat(match[1]).replace(tzinfo=UTC)

"""Events as sentences, and following a job until it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError

from gateway.cli.text import duration, line, moment, number_of, size
from gateway.client import Gateway
from gateway.client.handles import told_progress
from gateway.model.job import Event, Job, Progress, StoreOutputs

_PHASES = {
    "claimed": "the script has begun",
    # Told by the events `pull` and `state`.
    "pulled": "",
    "ended": "",
    "running": "the payload runs",
    "stopping": "the payload is being ended",
    "payload_ended": "the payload has ended",
    "syncing": "the last pass over the outputs",
}
SHOWN_PATHS = 4


def describe(event: Event) -> str | None:
    """Return an event as one harmless line; None for one that people need not see."""
    tell = _TELLERS.get(event.kind)
    return line(tell(event.data)) or None if tell else None


def describe_any(event: Event) -> str | None:
    """As `describe`; an event of a kind that is not known here is told by its kind."""
    return describe(event) if event.kind in _TELLERS else line(event.kind)


def _state(data: dict[str, Any]) -> str:
    text = f"{data.get('to')}"
    if reason := data.get("reason"):
        text += f" ({reason})"
    if message := data.get("message"):
        text += f": {message}"
    if scheduler_id := data.get("scheduler_id"):
        text += f" [{scheduler_id}]"
    return text


def _pull(data: dict[str, Any]) -> str:
    got, total = _count(data.get("bytes")), _count(data.get("total"))
    if data.get("cached") is not None:
        return f"image ready, {size(got)}" + (" (from the cache)" if data["cached"] else "")
    return f"pulling the image: {size(got)}" + (f" of {size(total)}, {100 * got // total} %" if total else "")


def _outputs(data: dict[str, Any]) -> str:
    fresh = data.get("new")
    paths = [str(path) for path in fresh] if isinstance(fresh, list) else []
    count = max(_count(data.get("count")), len(paths))
    if not paths:
        state = data.get("state")
        return f"{number_of(count, 'output')} in {data.get('store')}" + (f", {state}" if state else "")
    named = ", ".join(paths[:SHOWN_PATHS]) + (" …" if count > SHOWN_PATHS else "")
    return f"{number_of(count, 'output')} in {data.get('store')}: {named}"


def _backlog(data: dict[str, Any]) -> str:
    store, lag = data.get("store"), data.get("lag")
    if data.get("behind") is not True:
        return f"{store} has everything again"
    since = f", the oldest for {duration(_count(lag))}" if lag is not None else ""
    if data.get("bytes") is None:
        return f"{store} is behind{since}"
    files = f" in {number_of(_count(data.get('files')), 'file')}" if data.get("files") else ""
    return f"{size(_count(data['bytes']))}{files} not yet in {store}{since}"


def _verified(data: dict[str, Any]) -> str:
    words = [f"{number} {word}" for word, number in (data.get("counts") or {}).items()]
    return f"{data.get('store')} {data.get('verdict')}: {', '.join(words) or 'no files'}"


def _reconciled(data: dict[str, Any]) -> str:
    counts = ", ".join(f"{_count(data.get(word))} {word}" for word in ("added", "removed", "changed"))
    return f"catalogue of {data.get('store')} put right: {counts}"


def _retention(data: dict[str, Any]) -> str:
    done = {"archive": "archived", "restore": "brought back"}.get(str(data.get("action")), "removed")
    what = f"{number_of(_count(data.get('count')), 'output')}, {size(_count(data.get('bytes')))}"
    if data.get("action") == "restore":
        return f"{done} {what} in {data.get('store')} for {data.get('by')}"
    return f"retention {done} {what} in {data.get('store')} (rule {data.get('rule')})"


def waiting(kept: StoreOutputs) -> str:
    """Say what a store lacks of what a job wrote, and what is done about it; empty where nothing is known to be."""
    told = ""
    if kept.backlog or kept.backlog_files:
        files = f" in {number_of(kept.backlog_files, 'file')}" if kept.backlog_files else ""
        told = f"{size(kept.backlog or 0)}{files} not copied yet"
    elif kept.lag:
        told = "something is not copied yet"
    if told and kept.lag:
        told += f", the oldest for {duration(kept.lag)}"
    if told and kept.behind:
        told = f"behind: {told}"
    if kept.problem:
        told = kept.problem.rstrip(".")
        if kept.rescue_at is not None:
            told += f"; tried again at {moment(kept.rescue_at)}"
    return told


def _phase(data: dict[str, Any]) -> str:
    phase = str(data.get("phase"))
    text = _PHASES.get(phase, phase)
    details = {
        "claimed": ("host", f"on {{}}{_runtime(data)}"),
        "stopping": ("reason", "because of {}"),
        "payload_ended": ("exit_code", "with status {}"),
    }
    key, wording = details.get(phase, ("", ""))
    return f"{text} {wording.format(data[key])}" if data.get(key) is not None else text


def _runtime(data: dict[str, Any]) -> str:
    return f", with {data['runtime']}" if data.get("runtime") else ""


def _progress(data: dict[str, Any]) -> str:
    try:
        return f"progress: {told_progress(Progress.model_validate(data))}"
    except ValidationError:
        return "progress"


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


_TELLERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "state": _state,
    "pull": _pull,
    "outputs": _outputs,
    "phase": _phase,
    "backlog": _backlog,
    "verified": _verified,
    "reconciled": _reconciled,
    "retention": _retention,
    "retention_held": lambda data: f"outputs are held by {data.get('by')}",
    "retention_released": lambda data: f"outputs are not held by {data.get('by')} any more",
    "restore_asked": lambda data: f"archived outputs in {data.get('store')} were asked for by {data.get('by')}",
    "retention_changed": lambda data: f"how long outputs are kept was changed by {data.get('by')}",
    "folder_given_up": lambda data: f"the folder on the target was given up by {data.get('by')}",
    "folder_removed": lambda _: "the folder on the target is removed",
    "cancel_requested": lambda _: "cancel requested",
    "changed": lambda data: f"changed: {_words(data.get('fields'))}",
    "deleted": lambda _: "forgotten",
    "progress": _progress,
    "note": lambda data: str(data.get("message", "")),
}


def follow(gateway: Gateway, job_id: str, after: int = 0) -> Iterator[Event]:
    """Yield a job's events, the old ones first, until it has ended."""
    yield from gateway.job(job_id).events(after)


def verdict(job: Job) -> str:
    """Return how a job ended, in one line."""
    text = str(job.state)
    if job.reason:
        text += f" ({job.reason})"
    if job.message:
        text += f": {job.message}"
    if job.started_at and job.ended_at:
        text += f" after {duration((job.ended_at - job.started_at).total_seconds())}"
    counts = f"{number_of(job.outputs.count, 'file')}, {size(job.outputs.bytes)}"
    missing = waiting(job.outputs)
    return line(f"{text}; outputs {job.outputs.state}: {counts}" + (f" ({missing})" if missing else ""))

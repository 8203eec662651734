"""Events as sentences, and following a job until it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gateway.cli.text import duration, line, number_of, size
from gateway.client import Gateway
from gateway.model.job import Event, Job
from gateway.model.states import ENDED

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
_ENDED = {str(state) for state in ENDED}
SHOWN_PATHS = 4


def describe(event: Event) -> str | None:
    """Return an event as one harmless line; None for one that people need not see."""
    tell = _TELLERS.get(event.kind)
    return line(tell(event.data)) or None if tell else None


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


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


_TELLERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "state": _state,
    "pull": _pull,
    "outputs": _outputs,
    "phase": _phase,
    "cancel_requested": lambda _: "cancel requested",
    "note": lambda data: str(data.get("message", "")),
}


def follow(gateway: Gateway, job_id: str, after: int = 0) -> Iterator[Event]:
    """Yield a job's events, the old ones first, until it has ended."""
    for event in gateway.events(job_id, after):
        yield event
        ended = event.kind == "state" and event.data.get("to") in _ENDED
        # A lost job may come back: only the job itself says that this was the end.
        if ended and gateway.job(job_id).state in ENDED:
            return


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
    return line(f"{text}; outputs {job.outputs.state}: {counts}")

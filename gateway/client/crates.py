"""Crates of jobs, and running again what a crate holds: a folder, a zip file, or the address of one."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from gateway.client import calls, uploads
from gateway.client.calls import API, fetch, fetch_once
from gateway.client.flow import Emit, Flow, Request, exchange, open_answer, read, silent, work
from gateway.crates.reading import read_kept, read_run
from gateway.crates.source import CrateSource, open_crate
from gateway.errors import CrateError
from gateway.model.crate import CratePlan, NeededFile
from gateway.model.job import Job

LONG = 1200.0
"""Seconds that the gateway may take to fetch a crate."""


@dataclass(frozen=True)
class Wish:
    """What to do with a crate (see `gateway.model.crate.CrateOrder`).

    Attributes
    ----------
    files
        Local files for inputs that the crate only has the digests of.
    """

    target: str | None = None
    stores: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    any_image: bool = False
    files: tuple[Path, ...] = ()

    def body(self, **more: Any) -> dict[str, Any]:
        """Return the body of a request."""
        made = {"stores": list(self.stores), "changes": dict(self.changes), "any_image": self.any_image, **more}
        return made | ({"target": self.target} if self.target else {})


def wish(
    target: str | None, stores: str | Sequence[str] | None, changes: Mapping[str, Any] | None, **more: Any
) -> Wish:
    """Return what to do; one store may be given as its name."""
    many = (stores,) if isinstance(stores, str) else tuple(stores or ())
    return Wish(target, many, dict(changes or {}), **more)


def is_address(place: str | Path) -> bool:
    """Say whether a crate is at a URL, which the gateway opens itself."""
    return str(place).lower().startswith(("http://", "https://"))


def plan(place: str | Path, wanted: Wish) -> Flow[CratePlan]:
    """Return what would be done with a crate; nothing is uploaded or stored."""
    if is_address(place):
        return (yield from _asked("plan", wanted.body(url=str(place))))
    with (yield from work(lambda: open_crate(Path(place)))) as source:
        return (yield from _asked("plan", wanted.body(run=(yield from _run(source)))))


def rerun(place: str | Path, wanted: Wish) -> Flow[Job]:
    """Run again what a crate holds: uploads the inputs that the gateway does not have, each proved by its digest.

    Emits the `CratePlan`, and `uploads.Sent` on the way.
    """
    if is_address(place):
        body = wanted.body(url=str(place))
        yield Emit((yield from _asked("plan", body)))
        yield from _send_files(wanted.files)
        return (yield from _submitted(body))
    with (yield from work(lambda: open_crate(Path(place)))) as source:
        body = wanted.body(run=(yield from _run(source)))
        found = yield from _asked("plan", body)
        yield Emit(found)
        if found.missing:
            raise CrateError("; ".join(found.missing)[:2000])
        yield from _send_files(wanted.files)
        yield from _send_kept(found, source)
        return (yield from _submitted(body))


def _run(source: CrateSource) -> Flow[dict[str, Any]]:
    run = yield from work(lambda: read_run(source))
    return run.model_dump(mode="json")


def _asked(what: str, body: Mapping[str, Any]) -> Flow[CratePlan]:
    return (yield from fetch(CratePlan, Request("POST", f"{API}/crates/{what}", json=dict(body), timeout=LONG)))


def _submitted(body: Mapping[str, Any]) -> Flow[Job]:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    request = Request("POST", f"{API}/crates/run", json=dict(body), headers=headers, timeout=LONG)
    return (yield from fetch_once(Job, request))


def _send_files(files: Sequence[Path]) -> Flow[None]:
    for file in files:
        yield from uploads.upload(file.absolute())


def _send_kept(found: CratePlan, source: CrateSource) -> Flow[None]:
    """Upload the inputs that the crate has."""
    kept = {item.digest: item for item in found.run.inputs if item.kept is not None}
    wanted: list[NeededFile] = [item for item in found.needed if item.digest in kept]
    with tempfile.TemporaryDirectory(prefix="gateway-crate-") as folder:
        for number, item in enumerate(wanted):
            data = yield from work(partial(read_kept, source, kept[item.digest]))
            file = Path(folder) / str(number)
            yield from work(partial(file.write_bytes, data))
            yield from uploads.upload(file)


def metadata(job_id: str, store: str | None = None) -> Flow[dict[str, Any]]:
    """Return the metadata of a job's crate."""
    query = {"store": store} if store else {}
    found: dict[str, Any] = calls.read_json((yield from exchange(_crate(job_id, query))))
    return found


def _crate(job_id: str, query: Mapping[str, str]) -> Request:
    return Request("GET", calls.job_path(job_id, "crate"), dict(query))


def download(job_id: str, file: Path, store: str | None = None) -> Flow[Path]:
    """Write a job's crate with all its outputs to a zip file, which is there whole or not at all; emit its bytes."""
    query = {"format": "zip"} | ({"store": store} if store else {})
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as stream:
            yield from open_answer(_crate(job_id, query))
            while chunk := (yield from read()):
                stream.write(chunk)
                yield Emit(stream.tell())
        part.replace(file)
    except httpx.TransportError as error:
        raise silent() from error
    finally:
        part.unlink(missing_ok=True)
    return file

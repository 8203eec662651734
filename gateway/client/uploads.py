"""Sending local files that a specification names: by digest, piece by piece, going on where an earlier try stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gateway.client import calls, sweep_calls
from gateway.client.calls import API, fetch
from gateway.client.flow import Emit, Flow, Request, pause, work
from gateway.client.handles import specification
from gateway.errors import Conflict, FieldError, InvalidRequest, NotFound
from gateway.model.job import Job
from gateway.model.sweep import Sweep
from gateway.model.upload import Upload

PIECE = 4 * 1024 * 1024
"""Bytes that are sent at once."""
VAIN = 10
"""How often in a row no byte may be taken before an upload is given up."""
FIELD = "file"
"""The key, in an input or a value, that names a file on this machine."""


@dataclass(frozen=True)
class Sent:
    """How far the upload of a file is."""

    file: Path
    received: int
    size: int


def with_uploads(body: Mapping[str, Any], folder: Path | None = None) -> Flow[dict[str, Any]]:
    """Return a specification whose local files were uploaded; emit `Sent` on the way.

    An input names a local file as ``{"path": "mesh.bin", "file": "./mesh.bin"}``, a value of a case as
    ``{"file": "./mesh.bin"}``; both then say ``upload`` and the digest instead.

    Parameters
    ----------
    folder
        What the names are relative to; the working directory by default.

    Raises
    ------
    InvalidRequest
        A file cannot be read; names the field.
    """
    made = dict(body)
    digests: dict[Path, str] = {}
    for pointer, holder in _named(body):
        file = ((folder or Path()) / Path(str(holder[FIELD])).expanduser()).absolute()
        if file not in digests:
            digests[file] = yield from upload(file, pointer)
        replaced = {key: value for key, value in holder.items() if key != FIELD} | {"upload": digests[file]}
        made = _replaced(made, pointer, replaced)
    return made


def submit(
    body: Mapping[str, Any] | None,
    fields: Mapping[str, Any],
    *,
    folder: Path | None = None,
    key: str | None = None,
    draft: bool = False,
    dry_run: bool = False,
) -> Flow[Job]:
    """Submit a job after uploading the local files that it names."""
    made = yield from with_uploads(specification(body, fields), folder)
    query = {name: "1" for name, wanted in (("draft", draft), ("dry_run", dry_run)) if wanted}
    return (yield from calls.submit(made, key, query))


def rerun(job_id: str, changes: Mapping[str, Any], *, draft: bool = False, folder: Path | None = None) -> Flow[Job]:
    """Run a job again with changes, after uploading the local files that they name."""
    return (yield from calls.rerun(job_id, (yield from with_uploads(changes, folder)), draft=draft))


def submit_sweep(
    job: Mapping[str, Any] | str, given: Mapping[str, Any], *, folder: Path | None = None, key: str | None = None
) -> Flow[Sweep]:
    """Submit a sweep after uploading the local files that its job names; a text is the name of a case."""
    body = specification({"case": job} if isinstance(job, str) else job, {})
    made = {name: value for name, value in given.items() if value is not None}
    return (yield from sweep_calls.submit_sweep({**made, "job": (yield from with_uploads(body, folder))}, key))


def _named(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    inputs = body.get("inputs")
    for at, item in enumerate(inputs if isinstance(inputs, list | tuple) else ()):
        if isinstance(item, Mapping) and FIELD in item:
            yield f"#/inputs/{at}", item
    values = body.get("values")
    for name, item in (values if isinstance(values, Mapping) else {}).items():
        if isinstance(item, Mapping) and FIELD in item:
            yield f"#/values/{name}", item


def _replaced(body: dict[str, Any], pointer: str, value: dict[str, Any]) -> dict[str, Any]:
    _, field, key = pointer.split("/", 2)
    if field == "inputs":
        return {**body, field: [value if at == int(key) else item for at, item in enumerate(body[field])]}
    return {**body, field: {**body[field], key: value}}


def upload(file: Path, pointer: str = "#") -> Flow[str]:
    """Send a file unless the gateway has it; return its digest; emit `Sent` on the way."""
    try:
        digest, size = yield from work(lambda: _measured(file))
    except OSError as error:
        raise InvalidRequest([FieldError(f"{pointer}/{FIELD}", f"{file}: {error.strerror}")]) from None
    found = yield from _known(digest)
    vain = 0
    while vain < VAIN:
        if found is not None:
            yield Emit(Sent(file, found.received, size))
            if found.complete:
                return digest
        try:
            found = yield from (_begun(file, digest, size) if found is None else _more(file, found))
            vain = 0
        except Conflict:  # a piece came although its answer was lost, or an earlier request is not over yet
            vain += 1
            yield from pause(0.2 * vain)
            found = yield from _known(digest)
        except NotFound:
            vain += 1
            found = None
    raise Conflict(f"{file} could not be uploaded", hint="somebody else sends it at the same time; try again")


def _known(digest: str) -> Flow[Upload | None]:
    try:
        return (yield from fetch(Upload, Request("GET", f"{API}/uploads/{digest}")))
    except NotFound:
        return None


def _begun(file: Path, digest: str, size: int) -> Flow[Upload]:
    data = yield from work(partial(_piece, file, 0))
    headers = {"Upload-Digest": digest, "Upload-Length": str(size), "Content-Type": "application/octet-stream"}
    return (yield from fetch(Upload, Request("POST", f"{API}/uploads", content=data, headers=headers)))


def _more(file: Path, known: Upload) -> Flow[Upload]:
    data = yield from work(partial(_piece, file, known.received))
    headers = {"Upload-Offset": str(known.received), "Content-Type": "application/octet-stream"}
    path = f"{API}/uploads/{quote(known.id, safe='')}"
    return (yield from fetch(Upload, Request("PATCH", path, content=data, headers=headers)))


def _measured(file: Path) -> tuple[str, int]:
    with file.open("rb") as stream:
        digest = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
        return digest, stream.tell()


def _piece(file: Path, at: int) -> bytes:
    with file.open("rb") as stream:
        stream.seek(at)
        return stream.read(PIECE)

"""The files that stand below ``.gateway`` of a run's outputs, whole and without secrets. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.crates.hidden import Hiding, is_signed, plain_address
from gateway.model.crate import (
    MAX_KEPT_INPUT,
    RECORD_FOLDER,
    RUN_FILE,
    RunImage,
    RunInput,
    RunRecord,
    Source,
)
from gateway.model.specification import Input, JobSpecification
from gateway.storage.names import from_disk

MAX_FILES = 200
"""Inputs that are kept as files; further texts stand in the specification only."""
MAX_BYTES = 32 * 1024 * 1024
"""Of all inputs that are kept."""
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class FetchedInput:
    """An input that came from elsewhere, as it was when the job was staged; `content` only where it is small."""

    size: int
    digest: str
    content: bytes | None = None


@dataclass(frozen=True)
class RecordFile:
    """One file of the record. `path` begins with ``.gateway/``."""

    path: str
    content: bytes
    content_type: str

    @property
    def digest(self) -> str:
        """``sha256:…``."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"


@dataclass(frozen=True)
class Told:
    """What is known of a run besides its specification.

    Attributes
    ----------
    row
        The job's row, with ``id``, ``name``, ``attempt``, ``target``, ``case``, ``case_version``, ``values``.
    image_digest
        Of the image that the node used, as its record says.
    """

    row: Mapping[Any, Any] | Mapping[str, Any]
    specification: JobSpecification
    fetched: Mapping[str, FetchedInput]
    image_digest: str | None = None


def run_files(told: Told) -> tuple[RunRecord, list[RecordFile]]:
    """Return what was run, and its files: the run, the specification, the inputs."""
    specification = told.specification.model_dump(mode="json")
    request = dict(told.row["request"] or specification)
    hiding = Hiding(specification, request)
    plain = hiding.document(specification)
    places = tuple(hiding.places[:1000])
    inputs, files = _inputs(told, hiding)
    image = told.specification.image
    digest = (image.digest if image is not None else None) or told.image_digest
    record = RunRecord(
        job=told.row["id"],
        name=told.row["name"],
        attempt=told.row["attempt"],
        target=told.row["target"],
        case=told.row["case"],
        case_version=told.row["case_version"],
        values=plain["values"] or {},
        image=RunImage(ref=plain_address(image.ref), digest=digest) if image is not None else None,
        inputs=tuple(inputs),
        request=hiding.document(request),
        specification=plain,
        hidden=places,
    )
    text = record.model_dump_json(indent=1).encode()
    whole = RecordFile(f"{RECORD_FOLDER}/specification.json", json.dumps(plain, indent=1).encode(), JSON)
    return record, [RecordFile(RUN_FILE, text, JSON), whole, *files]


def hiding_of(told: Told, token: str | None = None) -> Hiding:
    """Return what takes this run's secrets out of texts: also the token by which the node's records were known."""
    hiding = Hiding(told.specification.model_dump(mode="json"), told.row["request"] or {})
    hiding.also(token)
    return hiding


def _inputs(told: Told, hiding: Hiding) -> tuple[list[RunInput], list[RecordFile]]:
    inputs: list[RunInput] = []
    files: list[RecordFile] = []
    left = MAX_BYTES
    for item in told.specification.inputs:
        known = _known(item, told.fetched)
        content = known.content if known is not None else None
        kept = None
        plain = from_disk(item.path.encode()) == item.path  # other names are written otherwise in stores
        if content is not None and plain and len(files) < MAX_FILES and hiding.content(content) == content:
            left -= len(content)
            if left >= 0:
                kept = f"{RECORD_FOLDER}/inputs/{item.path}"
                files.append(RecordFile(kept, content, TEXT if _is_text(content) else "application/octet-stream"))
        inputs.append(
            RunInput(
                path=item.path,
                source=source_of(item),
                size=known.size if known is not None else None,
                digest=known.digest if known is not None else item.upload or item.digest,
                kept=kept,
                reference=_reference(item),
                signed=item.url is not None and is_signed(item.url),
            )
        )
    return inputs, files


def _known(item: Input, fetched: Mapping[str, FetchedInput]) -> FetchedInput | None:
    if item.content is not None:
        content = item.content.encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return FetchedInput(len(content), digest, content if len(content) <= MAX_KEPT_INPUT else None)
    return fetched.get(item.path)


def source_of(item: Input) -> Source:
    """Return where an input came from."""
    if item.content is not None:
        return "content"
    if item.url is not None:
        return "url"
    if item.upload is not None:
        return "upload"
    return "output" if item.job is not None else "target"


def _reference(item: Input) -> str | None:
    if item.url is not None:
        return plain_address(item.url)
    if item.job is not None:
        return f"{item.job}/{item.output}"[:2048]
    return item.target_path[:2048] if item.target_path is not None else None


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def plain_records(hiding: Hiding, records: Iterable[tuple[str, bytes]]) -> list[RecordFile]:
    """Return records of the node by their names; the payload's own output stays as it is."""
    found = []
    for name, content in records:
        made = content if name in ("payload.out", "payload.err") else hiding.content(content)
        found.append(RecordFile(f"{RECORD_FOLDER}/{name}", made, JSON if name.endswith(".json") else TEXT))
    return found

"""What a crate says was run. A crate comes from anybody: it is believed as far as it is well formed. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from gateway.crates.source import CrateSource
from gateway.errors import CrateError
from gateway.model.crate import MAX_KEPT_INPUT, METADATA_FILE, RUN_FILE, RunInput, RunRecord

MAX_METADATA = 64 * 1024 * 1024
MAX_RUN = 32 * 1024 * 1024
MAX_ENTITIES = 100_000
CRATE = "https://w3id.org/ro/crate/1"
"""Begins what every RO-Crate says it conforms to."""


def read_run(source: CrateSource) -> RunRecord:
    """Return what was run.

    Raises
    ------
    CrateError
        It is no RO-Crate of a run that can be run again; says why.
    """
    entities = read_metadata(source.metadata(MAX_METADATA))
    if RUN_FILE not in entities:
        raise CrateError(
            f"the crate has no {RUN_FILE}, so it does not say what was run in a way that can be run again",
            hint="only crates that a Science Gateway made can be run",
        )
    record = parse_run(source.read(RUN_FILE, MAX_RUN))
    said = {digest for item in entities.values() if (digest := _image_digest(item)) is not None}
    digest = record.image.digest if record.image is not None else None
    if said and digest not in said:
        raise CrateError("the crate contradicts itself: its image is not the one of the run")
    return record


def read_metadata(data: bytes) -> dict[str, Mapping[str, Any]]:
    """Return the entities of a metadata file by their ids.

    Raises
    ------
    CrateError
        It is not the metadata of an RO-Crate.
    """
    found = _json(data, METADATA_FILE)
    graph = found.get("@graph") if isinstance(found, dict) else None
    if not isinstance(graph, list) or len(graph) > MAX_ENTITIES:
        raise CrateError(f"{METADATA_FILE} has no list of entities, or one that is too long")
    entities: dict[str, Mapping[str, Any]] = {}
    for item in graph:
        if not isinstance(item, dict) or not isinstance(item.get("@id"), str):
            raise CrateError(f"{METADATA_FILE} holds something that is no entity")
        entities[item["@id"].removeprefix("./") or "./"] = item
    descriptor = entities.get(METADATA_FILE, {})
    if not any(text.startswith(CRATE) for text in _ids(descriptor.get("conformsTo"))):
        raise CrateError(f"{METADATA_FILE} does not say that it describes an RO-Crate 1.x")
    return entities


def parse_run(data: bytes) -> RunRecord:
    """Read ``run.json``; raises `CrateError`."""
    found = _json(data, RUN_FILE)
    try:
        return RunRecord.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        raise CrateError(f"{RUN_FILE} is not what a gateway writes: {where!a}: {first['msg'][:200]}") from None


def read_kept(source: CrateSource, item: RunInput) -> bytes:
    """Return the bytes of an input that the crate holds; raises `CrateError` where they are not what was run."""
    assert item.kept is not None
    data = source.read(item.kept, MAX_KEPT_INPUT)
    if item.digest != f"sha256:{hashlib.sha256(data).hexdigest()}":
        raise CrateError(f"the input {item.path[:200]!a} is not what was run: its digest is another")
    return data


def _json(data: bytes, name: str) -> Any:
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise CrateError(f"{name} is not JSON") from None


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _ids(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        text = item.get("@id") if isinstance(item, dict) else item
        if isinstance(text, str):
            yield text


def _image_digest(item: Mapping[str, Any]) -> str | None:
    kinds = item.get("@type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    text = item.get("sha256")
    return f"sha256:{text}" if "ContainerImage" in kinds and isinstance(text, str) else None

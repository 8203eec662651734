"""What is asked for to run again what a crate holds. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.crates.hidden import HIDDEN
from gateway.jobs.merge_patch import merge
from gateway.model.crate import CrateOrder, NeededFile, RunInput, RunRecord
from gateway.model.pointers import parts_of, pointer

FROM_CRATE = "from-crate"
"""Tag of a job that came from a crate: the id of the job there."""
_NOT_CARRIED = ("target", "stores", "after_success", "after_end")
_OF_CASES = ("case", "case_version", "values")
_OF_SITES = ("queue", "account", "options")


@dataclass
class Made:
    """A request on its way, with what is to be said about it (see `CratePlan`)."""

    request: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    needed: dict[str, NeededFile] = field(default_factory=dict)


def make_request(run: RunRecord, order: CrateOrder, uploaded: Collection[str], *, by_case: bool) -> Made:
    """Return the request for a run.

    Parameters
    ----------
    uploaded
        Digests of the files that the gateway has.
    by_case
        Ask for the case with its values; else for what was carried out.
    """
    source = run.request if by_case else run.specification
    body: dict[str, Any] = {key: value for key, value in source.items() if key not in _NOT_CARRIED}
    made = Made(body)
    if by_case:
        body |= {"case": run.case, "case_version": run.case_version, "values": _filled(run)}
    else:
        for name in _OF_CASES:
            body.pop(name, None)
        _ask_for_image(run, made, any_image=order.any_image)
    _leave_site(made)
    _bring_inputs(run, made, uploaded)
    body["tags"] = {**(body.get("tags") or {}), FROM_CRATE: run.job}
    if order.target is not None:
        body["target"] = order.target
    if order.stores:
        body["stores"] = list(order.stores)
    before = dict(made.request)
    made.request = merge(made.request, dict(order.changes))
    _find_hidden(run, made, before, by_case=by_case)
    return made


def _filled(run: RunRecord) -> dict[str, Any]:
    """Return the values that were complete; files among them are named by their digests."""
    asked = run.request.get("values")
    return {**(asked if isinstance(asked, dict) else {}), **run.values}


def _ask_for_image(run: RunRecord, made: Made, *, any_image: bool) -> None:
    image = made.request.get("image")
    if not isinstance(image, dict) or run.image is None:
        return
    made.request["image"] = {**image, "digest": run.image.digest}
    if run.image.digest is None and not any_image:
        made.missing.append("the crate does not know the digest of its image: any other could be taken for it")
    if "#/image/ref" in run.hidden:
        made.notes.append("the image's address was signed: the signature is not in the crate")


def _leave_site(made: Made) -> None:
    """Leave out what means something at one site only."""
    resources = made.request.get("resources")
    if not isinstance(resources, dict):
        return
    left = [name for name in _OF_SITES if resources.get(name)]
    made.request["resources"] = {name: value for name, value in resources.items() if name not in _OF_SITES}
    if left:
        made.notes.append(f"left out, because other sites have others: {', '.join(left)}")


def _bring_inputs(run: RunRecord, made: Made, uploaded: Collection[str]) -> None:
    known = {item.path: item for item in run.inputs}
    inputs = made.request.get("inputs")
    if isinstance(inputs, list):
        made.request["inputs"] = [
            _input(item, known.get(str(item.get("path"))), made, uploaded) if isinstance(item, dict) else item
            for item in inputs
        ]
    by_digest = {item.digest: item for item in run.inputs}
    values = made.request.get("values")
    for value in values.values() if isinstance(values, dict) else ():
        if isinstance(value, dict) and isinstance(digest := value.get("upload"), str) and digest not in uploaded:
            _need(made, by_digest.get(digest), digest)


def _input(item: dict[str, Any], known: RunInput | None, made: Made, uploaded: Collection[str]) -> dict[str, Any]:
    """Return an input as another gateway can have it: by its digest wherever that is known."""
    path, digest = str(item.get("path")), known.digest if known is not None else None
    plain = {"path": path, "executable": bool(item.get("executable"))}
    if item.get("content") is not None:
        return {**plain, "content": item["content"]}
    if item.get("target_path") is not None:
        made.notes.append(f"the input {path!a} is read from {str(item['target_path'])[:200]!a} on the target")
        return {**plain, "target_path": item["target_path"]}
    fetched = known is None or (known.kept is None and not known.signed)
    if item.get("url") is not None and fetched and digest not in uploaded:
        return {**plain, "url": item["url"], "digest": digest}
    if digest is None:
        made.missing.append(f"the crate does not say what the input {path!a} was")
        return {**plain, "content": ""}
    if digest not in uploaded:
        _need(made, known, digest)
    return {**plain, "upload": digest}


def _need(made: Made, known: RunInput | None, digest: str) -> None:
    path, size, kept = (known.path, known.size, known.kept) if known is not None else (digest, None, None)
    made.needed[digest] = NeededFile(path=path, digest=digest, size=size, kept=kept)


def _find_hidden(run: RunRecord, made: Made, before: Mapping[str, Any], *, by_case: bool) -> None:
    """Name what was secret and was not given anew."""
    places = {pointer(place) for place in _marked(made.request, ())}
    if not by_case:
        for place in run.hidden:
            parts = parts_of(place)
            if parts[:1] != ["image"] and parts[-1:] != ["url"] and _at(before, parts) == _at(made.request, parts):
                places.add(place)
    for place in sorted(places):
        made.missing.append(f"{place[:200]} was secret and is not in the crate: give it with changes")


def _marked(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, str) and HIDDEN in value:
        yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _marked(item, (*place, key))


def _at(value: Any, parts: list[str]) -> Any:
    for part in parts:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value

"""Publishing images to mirrors, as flows: ``gateway.run(image_publications.publish(["fsl/6.0.3"]))``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from gateway.client.calls import API, fetch, items
from gateway.client.flow import Emit, Flow, Request, open_answer, pause, read
from gateway.errors import GatewayError
from gateway.model.image_mirrors import (
    ImageMirrorInfo,
    PlannedPublication,
    Publication,
    PublicationPage,
    PublishBegun,
)

PAGE = 500
NAMED = 50
"""Images that are named in one request."""
LONGEST_POLL = 2.0
PATIENCE = 3600.0
"""Seconds that mirrors may take to answer, one after the other."""
_PATH = f"{API}/image-publications"


def mirrors() -> Flow[list[ImageMirrorInfo]]:
    """Return the mirrors that images are published to."""
    return (yield from items(f"{API}/image-mirrors", ImageMirrorInfo))


def publications(
    images: Sequence[str] = (), mirror: str | None = None, states: Sequence[str] = ()
) -> Flow[list[Publication]]:
    """Return which image is in which mirror."""
    found: list[Publication] = []
    for start in range(0, max(len(images), 1), NAMED):
        query: dict[str, Any] = {"limit": str(PAGE)}
        query |= {"image": ",".join(images[start : start + NAMED])} if images else {}
        query |= {"mirror": mirror} if mirror else {}
        query |= {"state": ",".join(states)} if states else {}
        while True:
            page = yield from fetch(PublicationPage, Request("GET", _PATH, query))
            found += page.items
            if page.next_cursor is None:
                break
            query["cursor"] = page.next_cursor
    return found


def publish(images: Sequence[str] = (), mirrors: Sequence[str] = ()) -> Flow[PublishBegun]:
    """Have images brought to mirrors; all to all where none is named."""
    body = {"images": list(images), "mirrors": list(mirrors)}
    return (yield from fetch(PublishBegun, Request("POST", _PATH, json=body)))


def wait(images: Sequence[str] = (), mirrors: Sequence[str] = ()) -> Flow[list[Publication]]:
    """Wait until nothing waits or is under way; emits how everything stands, again and again."""
    delay = 0.1
    while True:
        listed = yield from publications(images)
        found = [one for one in listed if not mirrors or one.mirror in mirrors]
        yield Emit(found)
        if all(one.state in ("published", "failed") for one in found):
            return found
        yield from pause(delay)
        delay = min(delay * 1.5, LONGEST_POLL)


def plan(images: Sequence[str] = (), mirrors: Sequence[str] = ()) -> Flow[None]:
    """Emit what publishing would do, image by image. Nothing is changed."""
    body = {"images": list(images), "mirrors": list(mirrors)}
    yield from open_answer(Request("POST", f"{_PATH}/plan", json=body, timeout=PATIENCE))
    rest = b""
    while chunk := (yield from read()):
        *lines, rest = (rest + chunk).split(b"\n")
        for text in lines:
            yield Emit(_line(text))


def _line(text: bytes) -> PlannedPublication:
    try:
        return PlannedPublication.model_validate_json(text)
    except ValidationError:
        raise GatewayError("the gateway's answer is no line of a plan") from None

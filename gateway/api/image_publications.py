"""The functions behind the routes about mirrors that images are published to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from gateway.api.messages import Query, Reply, Request, json_reply
from gateway.api.queries import Cursor
from gateway.api.route import ADMIN, READ, Route
from gateway.app import Gateway
from gateway.errors import FieldError, InvalidRequest
from gateway.images.publishing import BELL
from gateway.jobs import cursors
from gateway.jobs.pointers import find_bad_text, invalid_request, pointer
from gateway.jobs.views import API
from gateway.model.base import Name
from gateway.model.image_mirrors import (
    ImageKey,
    ImageMirrorPage,
    PlannedPublication,
    PublicationPage,
    PublicationState,
    PublishBegun,
    PublishRequest,
)

LINES = "application/x-ndjson"
_KIND = "image-publications"


def _split(value: Any) -> Any:
    return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value


class PublicationsQuery(Query):
    """`GET /image-publications`."""

    image: Annotated[tuple[ImageKey, ...], BeforeValidator(_split, json_schema_input_type=str)] = Field(
        default=(), max_length=100, description="Names, digests or ids, with commas; all by default."
    )
    mirror: Name | None = None
    state: Annotated[tuple[PublicationState, ...], BeforeValidator(_split, json_schema_input_type=str)] = Field(
        default=(), description="`wanted`, `working`, `published`, `failed`, with commas; all by default."
    )
    limit: int = Field(default=100, ge=1, le=1000)
    cursor: Cursor | None = Field(default=None, description="`next_cursor` of the page before.")


def _wanted(body: Any) -> PublishRequest:
    """Type a body; raises `InvalidRequest` that names each field."""
    if body is None:
        return PublishRequest()
    if not isinstance(body, dict):
        raise InvalidRequest([FieldError("#", "must be a JSON object")])
    if (place := find_bad_text(body)) is not None:
        raise InvalidRequest([FieldError(pointer(place), "must be valid Unicode")])
    try:
        return PublishRequest.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error, body, fields=PublishRequest.model_fields) from None


async def list_image_mirrors(gateway: Gateway, _: Request) -> ImageMirrorPage:
    """List the mirrors that images are published to, and how many are in which state there."""
    return ImageMirrorPage(items=await gateway.image_publishing.list_mirrors())


async def list_image_publications(gateway: Gateway, request: Request) -> PublicationPage:
    """List which image is in which mirror, what is under way, and what failed and why."""
    query: PublicationsQuery = request.query
    after: tuple[str, str] | None = None
    if query.cursor is not None:
        image_id, mirror = cursors.decode(query.cursor, _KIND, str, str)
        after = (str(image_id), str(mirror))
    page, following = await gateway.image_publishing.page(query.image, query.mirror, query.state, after, query.limit)
    cursor = cursors.encode(_KIND, *following) if following else None
    return page.model_copy(update={"next_cursor": cursor})


async def publish_images(gateway: Gateway, request: Request) -> Reply:
    """Have images looked at in mirrors, and brought to those that have them not. It is carried out beside."""
    begun = await gateway.image_publishing.begin(_wanted(request.body), request.person.name)
    gateway.bell.ring(BELL)
    return json_reply(begun, 202)


async def plan_image_publications(gateway: Gateway, request: Request) -> Reply:
    """Say what publishing would do: one line of JSON for each image and mirror. Nothing is changed.

    Lines come as mirrors answer; whoever hangs up ends it. Files of the right size are taken for the image.
    """
    lines = gateway.image_publishing.plan(_wanted(request.body))
    first = await anext(lines, None)  # what is wrong with the request itself is told by the status
    return Reply(200, {"Content-Type": LINES, "Cache-Control": "no-store"}, _told(first, lines))


async def _told(
    first: PlannedPublication | None, rest: AsyncGenerator[PlannedPublication, None]
) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        if first is not None:
            yield _line(first)
        async for line in rest:
            yield _line(line)


def _line(line: PlannedPublication) -> bytes:
    return line.model_dump_json().encode() + b"\n"


_PUBLICATIONS = f"{API}/image-publications"

ROUTES = (
    Route(
        "GET",
        f"{API}/image-mirrors",
        list_image_mirrors,
        READ,
        "List mirrors that images are published to",
        response_model=ImageMirrorPage,
    ),
    Route(
        "GET",
        _PUBLICATIONS,
        list_image_publications,
        ADMIN,
        "List which image is in which mirror",
        query=PublicationsQuery,
        response_model=PublicationPage,
    ),
    Route(
        "POST",
        _PUBLICATIONS,
        publish_images,
        ADMIN,
        "Publish images",
        request_model=PublishRequest,
        response_model=PublishBegun,
        status=202,
        body_needed=False,
    ),
    Route(
        "POST",
        f"{_PUBLICATIONS}/plan",
        plan_image_publications,
        ADMIN,
        "Say what publishing would do",
        request_model=PublishRequest,
        response_model=PlannedPublication,
        media_types=(LINES,),
        body_needed=False,
    ),
)

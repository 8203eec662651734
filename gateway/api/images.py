"""The functions behind the routes about the catalogue of images."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import Field, ValidationError

from gateway.api.jobs import job_reply
from gateway.api.messages import Query, Reply, Request, json_reply
from gateway.api.queries import Cursor, Text
from gateway.api.route import ADMIN, READ, WRITE, Route
from gateway.app import Gateway
from gateway.db.images import ImageFilter
from gateway.errors import FieldError, InvalidRequest, NotFound
from gateway.jobs import cursors
from gateway.jobs.pointers import find_bad_text, invalid_request, pointer
from gateway.jobs.views import API, job_links
from gateway.model.base import Model, Name
from gateway.model.image import (
    CacheOrder,
    CacheReport,
    CheckOrder,
    CleanOrder,
    CleanReport,
    ImageChanges,
    ImageInfo,
    ImagePage,
    ImportOrder,
    ImportReport,
    NewImage,
)
from gateway.model.job import Job
from gateway.people.access import lane_of

M = TypeVar("M", bound=Model)


class ImagesQuery(Query):
    """`GET /images`."""

    q: Text | None = Field(default=None, description="Part of a name, the summary or a category.")
    category: Text | None = None
    live: bool | None = Field(default=True, description="`false`: those that are retired.")
    pinned: bool | None = None
    limit: int = Field(default=50, ge=1, le=500)
    cursor: Cursor | None = Field(default=None, description="`next_cursor` of the page before.")


class ImageQuery(Query):
    """`GET /images/{image}`."""

    pieces: bool = Field(default=False, description="Tell the hashes of the pieces, too.")


class PrefetchQuery(Query):
    """`POST /images/{image}/prefetch`."""

    target: Name | None = Field(default=None, description="The gateway's default target by default.")


def _read(model: type[M], body: Any) -> M:
    """Type a body; raises `InvalidRequest` that names each field."""
    if not isinstance(body, dict):
        raise InvalidRequest([FieldError("#", "must be a JSON object")])
    if (place := find_bad_text(body)) is not None:
        raise InvalidRequest([FieldError(pointer(place), "must be valid Unicode")])
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error, body, fields=model.model_fields) from None


async def list_images(gateway: Gateway, request: Request) -> ImagePage:
    """List the images that jobs can name, by name."""
    query: ImagesQuery = request.query
    after: tuple[str, str] | None = None
    if query.cursor is not None:
        name, image_id = cursors.decode(query.cursor, "images", str, str)
        after = (str(name), str(image_id))
    wanted = ImageFilter(query.q, query.category, query.live, query.pinned)
    items, last = await gateway.image_catalogue.page(wanted, after, query.limit)
    return ImagePage(items=items, next_cursor=cursors.encode("images", *last) if last is not None else None)


async def get_image(gateway: Gateway, request: Request) -> ImageInfo:
    """Show an image, by its id, its digest or one of its names (with `/` as `%2F`)."""
    query: ImageQuery = request.query
    return await gateway.image_catalogue.show(request.path["image"], pieces=query.pieces)


async def add_image(gateway: Gateway, request: Request) -> Reply:
    """Take an image into the catalogue.

    Where its pieces were not told, the gateway begins to read the file once, beside everything else: the image's
    `work` tells how far that is.
    """
    return json_reply(await gateway.image_catalogue.add(_read(NewImage, request.body)), 201)


async def change_image(gateway: Gateway, request: Request) -> ImageInfo:
    """Change names, mirrors and the like; pin an image, or retire it (`live: false`)."""
    return await gateway.image_catalogue.change(request.path["image"], _read(ImageChanges, request.body))


async def check_image(gateway: Gateway, request: Request) -> Reply:
    """Begin to check the mirrors of an image by reading parts of it; its `work` and `mirrors` tell what is found."""
    order = _read(CheckOrder, request.body if request.body is not None else {})
    return json_reply(await gateway.image_catalogue.check(request.path["image"], order), 202)


async def import_images(gateway: Gateway, request: Request) -> ImportReport:
    """Take over Neurodesk's list of containers (`apps.json`); entries that are broken are told, the rest is taken."""
    return await gateway.image_catalogue.import_list(_read(ImportOrder, request.body))


async def clean_images(gateway: Gateway, request: Request) -> CleanReport:
    """Remove images from the catalogue that are retired, not pinned and unused; by default only say which."""
    order = _read(CleanOrder, request.body if request.body is not None else {})
    return await gateway.image_catalogue.clean(order)


async def prefetch_image(gateway: Gateway, request: Request) -> Reply:
    """Bring an image into a target's cache, by a small job of mine that pulls it and does nothing else."""
    query: PrefetchQuery = request.query
    found = await gateway.image_catalogue.show(request.path["image"])
    key = request.headers.get("idempotency-key")
    job = await gateway.image_caches.prefetch(
        found.names[0] if found.names else found.digest or found.id, query.target, request.owner, key
    )
    return job_reply(job, 202, {"Location": job_links(job.id).self})


async def clean_image_cache(gateway: Gateway, request: Request) -> CacheReport:
    """Remove images from a target's cache, those unused for longest first, until it is small enough.

    What is pinned, in use, or named by a live job stays. Mirrors and the catalogue are left alone.
    """
    order = _read(CacheOrder, request.body if request.body is not None else {})
    name = request.path["name"]
    if name not in gateway.targets:
        raise NotFound(f"there is no target {name[:64]!a}")
    lane = lane_of(gateway.settings, name, request.owner)
    return await gateway.image_caches.make_room(gateway.lanes[lane], order.limit)


_IMAGES = f"{API}/images"
_IMAGE = f"{_IMAGES}/{{image}}"

ROUTES = (
    Route("GET", _IMAGES, list_images, READ, "List images", query=ImagesQuery, response_model=ImagePage),
    Route(
        "POST",
        _IMAGES,
        add_image,
        ADMIN,
        "Add an image",
        request_model=NewImage,
        response_model=ImageInfo,
        status=201,
    ),
    Route(
        "POST",
        f"{_IMAGES}/import",
        import_images,
        ADMIN,
        "Take over a list of images",
        request_model=ImportOrder,
        response_model=ImportReport,
    ),
    Route(
        "POST",
        f"{_IMAGES}/gc",
        clean_images,
        ADMIN,
        "Remove unused images from the catalogue",
        request_model=CleanOrder,
        response_model=CleanReport,
        body_needed=False,
    ),
    Route("GET", _IMAGE, get_image, READ, "Show an image", query=ImageQuery, response_model=ImageInfo),
    Route(
        "PATCH",
        _IMAGE,
        change_image,
        ADMIN,
        "Change, pin or retire an image",
        request_model=ImageChanges,
        response_model=ImageInfo,
    ),
    Route(
        "POST",
        f"{_IMAGE}/check",
        check_image,
        ADMIN,
        "Check the mirrors of an image",
        request_model=CheckOrder,
        response_model=ImageInfo,
        status=202,
        body_needed=False,
    ),
    Route(
        "POST",
        f"{_IMAGE}/prefetch",
        prefetch_image,
        WRITE,
        "Bring an image to a target",
        query=PrefetchQuery,
        response_model=Job,
        status=202,
        headers=(("Idempotency-Key", "The same key and request give the same job."),),
    ),
    Route(
        "POST",
        f"{API}/targets/{{name}}/images/gc",
        clean_image_cache,
        ADMIN,
        "Make room in a target's image cache",
        request_model=CacheOrder,
        response_model=CacheReport,
        body_needed=False,
    ),
)

"""The functions behind the routes about uploads."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Mapping

from pydantic import Field

from gateway.api.messages import Query, Reply, Request, json_reply
from gateway.api.queries import Cursor
from gateway.api.route import READ, WRITE, Route
from gateway.app import Gateway
from gateway.errors import FieldError, InvalidRequest
from gateway.jobs.uploads import Announced
from gateway.jobs.views import API
from gateway.model.upload import Upload, UploadPage

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_COUNT = re.compile(r"[0-9]{1,15}\Z")


class UploadsQuery(Query):
    """`GET /uploads`."""

    limit: int = Field(default=100, ge=1, le=1000)
    cursor: Cursor | None = Field(default=None, description="`next_cursor` of the page before.")


async def create_upload(gateway: Gateway, request: Request) -> Reply:
    """Send a file, or its first part, as the body.

    `Upload-Digest: sha256:…` is checked; `Upload-Length` says how long the whole file is where later requests bring
    the rest. Who has the file here already gets it back.
    """
    said = Announced(_digest(request.headers), _count(request, "Upload-Length"), _count(request, "Content-Length"))
    upload = await gateway.uploads.create(request.owner, said, _body(request))
    return json_reply(upload, 201, {"Location": f"{API}/uploads/{upload.id}", "Cache-Control": "no-store"})


async def append_upload(gateway: Gateway, request: Request) -> Reply:
    """Send the next bytes of a file; `Upload-Offset` says where they go, which must be what has been received."""
    offset = _count(request, "Upload-Offset")
    if offset is None:
        raise _refuse("Upload-Offset", "is needed: the bytes that the gateway has received of this upload")
    upload = await gateway.uploads.append(request.path["name"], request.owner, offset, _body(request))
    return json_reply(upload, 200, {"Cache-Control": "no-store"})


async def list_uploads(gateway: Gateway, request: Request) -> UploadPage:
    """List your uploads, newest first."""
    query: UploadsQuery = request.query
    return await gateway.uploads.list(request.owner, limit=query.limit, cursor=query.cursor)


async def get_upload(gateway: Gateway, request: Request) -> Reply:
    """Show an upload, by its id or its digest: how much of it is there."""
    upload = await gateway.uploads.get(request.path["name"], request.owner)
    return json_reply(upload, 200, {"Cache-Control": "no-store"})


async def delete_upload(gateway: Gateway, request: Request) -> Reply:
    """Remove an upload that no live job uses."""
    await gateway.uploads.delete(request.path["name"], request.owner)
    return Reply(204)


def _body(request: Request) -> AsyncIterable[bytes]:
    assert request.stream is not None, "the route streams its body"
    return request.stream


def _digest(headers: Mapping[str, str]) -> str | None:
    text = headers.get("upload-digest")
    if text is not None and not _DIGEST.match(text):
        raise _refuse("Upload-Digest", "must be sha256: and 64 lower-case hexadecimal digits")
    return text


def _count(request: Request, name: str) -> int | None:
    text = request.headers.get(name.lower())
    if text is None:
        return None
    if not _COUNT.match(text):
        raise _refuse(name, "must be a number of bytes")
    return int(text)


def _refuse(name: str, detail: str) -> InvalidRequest:
    return InvalidRequest([FieldError("#", f"{name} {detail}")], f"{name} {detail}")


_UPLOAD = f"{API}/uploads/{{name}}"

ROUTES = (
    Route(
        "POST",
        f"{API}/uploads",
        create_upload,
        WRITE,
        "Upload a file",
        response_model=Upload,
        status=201,
        streams_body=True,
        headers=(
            ("Upload-Digest", "`sha256:` and what the file's digest must be."),
            ("Upload-Length", "Bytes of the whole file, where later requests bring the rest."),
        ),
        sends=(("Location", "The upload."),),
    ),
    Route("GET", f"{API}/uploads", list_uploads, READ, "List uploads", query=UploadsQuery, response_model=UploadPage),
    Route("GET", _UPLOAD, get_upload, READ, "Show an upload", response_model=Upload),
    Route(
        "PATCH",
        _UPLOAD,
        append_upload,
        WRITE,
        "Go on with an upload",
        response_model=Upload,
        streams_body=True,
        headers=(("Upload-Offset", "Where the bytes go: `received` of the upload."),),
    ),
    Route("DELETE", _UPLOAD, delete_upload, WRITE, "Remove an upload", status=204, media_types=()),
)

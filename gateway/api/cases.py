"""The functions behind the routes about cases, and about the sets of values that people keep for them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from gateway.api.conditional import has_etag
from gateway.api.messages import JSON, Query, Reply, Request, json_reply
from gateway.api.outputs import SAFE
from gateway.api.route import ADMIN, READ, WRITE, Route
from gateway.app import Gateway
from gateway.cases.service import Condition
from gateway.errors import FieldError, InvalidRequest
from gateway.jobs.pointers import find_bad_text, invalid_request, pointer
from gateway.jobs.views import API
from gateway.model.base import Digest
from gateway.model.case import (
    CaseBuild,
    CaseInfo,
    CasePage,
    CheckedValues,
    GivenValues,
    ValueSet,
    ValueSetPage,
)

_SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. +=-]{0,63}\Z")


class CaseVersionQuery(Query):
    """`GET /cases/{name}/thumbnail`."""

    version: Digest | None = Field(default=None, description="The case's version; the current one by default.")


async def list_cases(gateway: Gateway, request: Request) -> Reply:
    """List the cases that people can run."""
    return _cached(await gateway.cases.list(), request)


async def get_case(gateway: Gateway, request: Request) -> Reply:
    """Show a case: its parameters, and a JSON Schema of the values from which a form can be drawn."""
    return _cached(await gateway.cases.get(request.path["name"]), request)


async def get_case_version(gateway: Gateway, request: Request) -> Reply:
    """Show a version of a case, as jobs ran with it."""
    return _cached(await gateway.cases.get(request.path["name"], request.path["digest"]), request)


def _cached(answer: BaseModel, request: Request) -> Reply:
    """Answer with an ETag of the very bytes: the state of an image is part of them."""
    data = answer.model_dump_json().encode()
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if has_etag(request.headers, etag):
        return Reply(304, headers)
    return Reply(200, {"Content-Type": JSON, **headers}, data)


async def get_case_thumbnail(gateway: Gateway, request: Request) -> Reply:
    """Give the picture of a case, for `<img>` only."""
    query: CaseVersionQuery = request.query
    version, kind, data = await gateway.cases.thumbnail(request.path["name"], query.version)
    etag = f'"{version.removeprefix("sha256:")[:32]}"'
    headers = {
        **SAFE,
        "ETag": etag,
        "Cache-Control": "private, max-age=31536000, immutable" if query.version else "private, no-cache",
        "Content-Disposition": "attachment",
    }
    if has_etag(request.headers, etag):
        return Reply(304, headers)
    return Reply(200, {**headers, "Content-Type": kind}, data)


async def check_case_values(gateway: Gateway, request: Request) -> CheckedValues:
    """Check values without asking for a job; answer them complete, with defaults."""
    values = _values(request.body)
    return CheckedValues(values=await gateway.cases.check(request.path["name"], values))


async def build_case_image(gateway: Gateway, request: Request) -> Reply:
    """Begin to build the image of a case; the case itself tells when it is done."""
    return json_reply(await gateway.cases.begin_build(request.path["name"]), 202, {"Cache-Control": "no-store"})


async def list_value_sets(gateway: Gateway, request: Request) -> ValueSetPage:
    """List the sets of values that I keep for a case."""
    return await gateway.cases.list_sets(request.path["name"], request.owner)


async def get_value_set(gateway: Gateway, request: Request) -> Reply:
    """Show a set of values that I keep."""
    found = await gateway.cases.get_set(request.path["name"], request.owner, request.path["set"])
    if has_etag(request.headers, f'"{found.version}"'):
        return Reply(304, {"ETag": f'"{found.version}"'})
    return _set_reply(found)


async def put_value_set(gateway: Gateway, request: Request) -> Reply:
    """Keep a set of values, all or some of the case's, under a name of mine."""
    name = request.path["set"]
    if not _SET_NAME.match(name):
        detail = "the name of a set is up to 64 letters, digits, spaces and _ . + = -, a letter or digit first"
        raise InvalidRequest([FieldError("#", detail)], detail)
    condition = _condition(request)
    kept = await gateway.cases.put_set(request.path["name"], request.owner, name, _values(request.body), condition)
    return _set_reply(kept, 201 if kept.version == 1 else 200)


async def delete_value_set(gateway: Gateway, request: Request) -> Reply:
    """Forget a set of values."""
    condition = _condition(request)
    await gateway.cases.delete_set(request.path["name"], request.owner, request.path["set"], condition)
    return Reply(204)


def _condition(request: Request) -> Condition:
    if request.headers.get("if-none-match", "").strip() == "*":
        return Condition(exists=False)
    asked = request.headers.get("if-match")
    return Condition(request.version, None if asked is None else True)


def _set_reply(found: ValueSet, status: int = 200) -> Reply:
    return json_reply(found, status, {"ETag": f'"{found.version}"', "Cache-Control": "no-cache"})


def _values(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise InvalidRequest([FieldError("#", 'must be a JSON object: {"values": {…}}')])
    if (place := find_bad_text(body)) is not None:
        raise InvalidRequest([FieldError(pointer(place), "must be valid Unicode")])
    try:
        return GivenValues.model_validate(body).values
    except ValidationError as error:
        raise invalid_request(error, body) from None


_CASE = f"{API}/cases/{{name}}"
_SET = f"{_CASE}/values/{{set}}"
_UNCHANGED = ((304, "Not changed"),)

ROUTES = (
    Route("GET", f"{API}/cases", list_cases, READ, "List cases", response_model=CasePage, also=_UNCHANGED),
    Route("GET", _CASE, get_case, READ, "Show a case", response_model=CaseInfo, also=_UNCHANGED),
    Route(
        "GET",
        f"{_CASE}/versions/{{digest}}",
        get_case_version,
        READ,
        "Show a version of a case",
        response_model=CaseInfo,
        also=_UNCHANGED,
    ),
    Route(
        "GET",
        f"{_CASE}/thumbnail",
        get_case_thumbnail,
        READ,
        "Show the picture of a case",
        query=CaseVersionQuery,
        media_types=("image/svg+xml", "image/png"),
        also=_UNCHANGED,
    ),
    Route(
        "POST",
        f"{_CASE}/check",
        check_case_values,
        READ,
        "Check values",
        request_model=GivenValues,
        response_model=CheckedValues,
    ),
    Route(
        "POST", f"{_CASE}/build", build_case_image, ADMIN, "Build a case's image", response_model=CaseBuild, status=202
    ),
    Route("GET", f"{_CASE}/values", list_value_sets, READ, "List my sets of values", response_model=ValueSetPage),
    Route("GET", _SET, get_value_set, READ, "Show a set of values", response_model=ValueSet, also=_UNCHANGED),
    Route(
        "PUT",
        _SET,
        put_value_set,
        WRITE,
        "Keep a set of values",
        request_model=GivenValues,
        response_model=ValueSet,
        also=((201, "A new set"),),
    ),
    Route("DELETE", _SET, delete_value_set, WRITE, "Forget a set of values", status=204, media_types=()),
)

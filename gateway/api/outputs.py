"""The functions behind the routes about outputs and logs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from urllib.parse import quote

from gateway.api.conditional import chosen_range, http_date, not_modified
from gateway.api.jobs import wanted_jobs
from gateway.api.messages import Reply, Request, problem_reply
from gateway.api.queries import AllOutputsQuery, JobsFilter, LogsQuery, OutputQuery, OutputsQuery, OutputsSearch
from gateway.api.route import READ, TEXT, Route
from gateway.app import Gateway
from gateway.errors import RangeNotSatisfiable
from gateway.jobs.logs import LogPiece
from gateway.jobs.output_search import Search
from gateway.jobs.outputs import Listing, OpenFile
from gateway.jobs.pointers import refuse_query
from gateway.jobs.views import API
from gateway.model.job import OutputPage
from gateway.model.people import Scope

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}
"""Headers of every answer whose bytes came from a job."""


async def list_outputs(gateway: Gateway, request: Request) -> OutputPage:
    """List the outputs of a job below a prefix; those that fit, where more is asked for than a prefix."""
    query: OutputsQuery = request.query
    return await _of_one_job(gateway, request.path["id"], request.owner, query, query.prefix)


async def list_all_outputs(gateway: Gateway, request: Request) -> OutputPage:
    """List outputs by their whole names, `<job-id>/…` (the answer's names are within the job), or search all jobs."""
    query: AllOutputsQuery = request.query
    job_id, slash, prefix = query.prefix.partition("/")
    if not query.prefix:
        if query.delimiter:
            raise refuse_query("delimiter", "goes with the id of a job in the prefix")
        search = _search(query, "")
        if not search.narrows and query == AllOutputsQuery():
            raise refuse_query("prefix", "must begin with the id of a job and a '/', where nothing else is asked for")
        return await gateway.output_search.across_jobs(wanted_jobs(request, query), search)
    if not slash:
        raise refuse_query("prefix", "must begin with the id of a job and a '/'")
    if narrowing := next((name for name in JobsFilter.model_fields if getattr(query, name)), None):
        raise refuse_query(narrowing, "goes with no prefix, which names one job")
    owner = request.owner
    if request.person.may(Scope.ADMIN):  # as where the job's id stands in the path
        owner = await gateway.people.owner_of("jobs", job_id) or owner
    return await _of_one_job(gateway, job_id, owner, query, prefix)


async def _of_one_job(gateway: Gateway, job_id: str, owner: str, query: OutputsSearch, prefix: str) -> OutputPage:
    search = _search(query, prefix)
    if not search.narrows:
        listing = Listing(prefix, query.delimiter == "/", query.store, query.limit, query.cursor)
        return await gateway.outputs.list(job_id, owner, listing)
    if query.delimiter:
        raise refuse_query("delimiter", "goes with a prefix only: what is searched has no levels")
    return await gateway.output_search.in_job(job_id, owner, search)


def _search(query: OutputsSearch, prefix: str) -> Search:
    return Search(
        prefix=prefix,
        pattern=query.pattern,
        content_type=query.content_type,
        min_size=query.min_size,
        modified_after=query.modified_after,
        store=query.store,
        limit=query.limit,
        cursor=query.cursor,
    )


async def get_output(gateway: Gateway, request: Request) -> Reply:
    """Give the bytes of one output; one range of them where asked for."""
    query: OutputQuery = request.query
    file = await gateway.outputs.open(request.path["id"], request.owner, request.path["path"], query.store)
    if query.redirect and (address := await file.signed_url()):
        return Reply(302, {"Location": address, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    headers = _file_headers(file)
    if not_modified(request.headers, file.etag, file.modified_at):
        return Reply(304, headers)
    try:
        part = chosen_range(request.headers, file.size, file.etag)
    except RangeNotSatisfiable as error:
        problem = problem_reply(error)
        return Reply(416, {**problem.headers, "Content-Range": f"bytes */{file.size}"}, problem.content)
    headers["Content-Type"] = file.content_type
    if part is None:
        headers["Content-Length"] = str(file.size)
        return Reply(200, headers, await _begun(file, request, 0, file.size))
    headers |= {"Content-Length": str(part.length), "Content-Range": part.content_range(file.size)}
    return Reply(206, headers, await _begun(file, request, part.first, part.length))


def _file_headers(file: OpenFile) -> dict[str, str]:
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._- ()+,=@") else "_" for c in file.name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
    headers = {
        **SAFE,
        "ETag": file.etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition,
    }
    if file.modified_at is not None:
        headers["Last-Modified"] = http_date(file.modified_at)
    return headers


async def _begun(file: OpenFile, request: Request, offset: int, length: int) -> bytes | AsyncIterator[bytes]:
    """Read the first piece before the answer begins, so that what is not there is told by the status."""
    if request.method == "HEAD" or length == 0:
        return b""
    pieces = file.read(offset, length)
    first = await anext(pieces)

    async def whole() -> AsyncIterator[bytes]:
        async with aclosing(pieces):
            yield first
            async for piece in pieces:
                yield piece

    return whole()


async def get_log(gateway: Gateway, request: Request) -> Reply:
    """Give a part of a log; with `follow`, also what comes until the job has ended."""
    query: LogsQuery = request.query
    job_id, stream = request.path["id"], request.path["stream"]
    piece = await gateway.logs.read(job_id, request.owner, stream, query.offset, query.limit)
    headers = {
        **SAFE,
        "Content-Type": "text/plain; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Log-Size": str(piece.size),
    }
    if not query.follow or request.method == "HEAD":
        return Reply(200, {**headers, "X-Log-Offset": str(piece.end)}, piece.data)
    headers["X-Log-Offset"] = str(piece.start)
    return Reply(200, headers, _following(gateway, request, piece))


async def _following(gateway: Gateway, request: Request, first: LogPiece) -> AsyncIterator[bytes]:
    if first.data:
        yield first.data
    rest = gateway.logs.follow(request.path["id"], request.owner, request.path["stream"], first)
    async with aclosing(rest):
        async for data in rest:
            yield data


_JOB = f"{API}/jobs/{{id}}"

ROUTES = (
    Route(
        "GET",
        f"{_JOB}/outputs",
        list_outputs,
        READ,
        "List a job's outputs",
        query=OutputsQuery,
        response_model=OutputPage,
    ),
    Route(
        "GET",
        f"{_JOB}/outputs/{{path:path}}",
        get_output,
        READ,
        "Read an output",
        query=OutputQuery,
        media_types=("application/octet-stream",),
        also=((206, "One range of the bytes"), (302, "With `redirect`: where the bytes are"), (304, "Not changed")),
    ),
    Route(
        "GET",
        f"{API}/outputs",
        list_all_outputs,
        READ,
        "List outputs by whole name, or search all jobs",
        query=AllOutputsQuery,
        response_model=OutputPage,
    ),
    Route(
        "GET",
        f"{_JOB}/logs/{{stream}}",
        get_log,
        READ,
        "Read or follow a log",
        query=LogsQuery,
        media_types=TEXT,
    ),
)

"""The function behind the route of archives."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

from pydantic import Field

from gateway.api.messages import Query, Reply, Request
from gateway.api.outputs import SAFE
from gateway.api.queries import Text
from gateway.api.route import READ, Route
from gateway.app import Gateway
from gateway.jobs.archives import Wanted
from gateway.jobs.views import API
from gateway.model.base import Name


class ArchiveQuery(Query):
    """`GET /jobs/{id}/archive`."""

    prefix: Text = Field(default="", description="Only outputs whose path begins with it.")
    format: Literal["zip", "tar"] = "zip"
    store: Name | None = Field(default=None, description="The job's first store by default.")


async def get_archive(gateway: Gateway, request: Request) -> Reply:
    """Give all outputs below a prefix as one archive, made while it is sent.

    All names are below one folder. Where files changed or went while they were read, `.gateway/archive-problems.txt`
    in it says so.
    """
    query: ArchiveQuery = request.query
    wanted = Wanted(query.prefix, query.format, query.store)
    archive = await gateway.archives.open(request.path["id"], request.owner, wanted)
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._- ()+,=@") else "_" for c in archive.name)
    headers = {
        **SAFE,
        "Content-Type": archive.media_type,
        "Cache-Control": "no-store",
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(archive.name, safe='')}",
    }
    return Reply(200, headers, b"" if request.method == "HEAD" else archive.read())


ROUTES = (
    Route(
        "GET",
        f"{API}/jobs/{{id}}/archive",
        get_archive,
        READ,
        "Read outputs as an archive",
        query=ArchiveQuery,
        media_types=("application/zip", "application/x-tar"),
    ),
)

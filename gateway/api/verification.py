"""The functions behind the routes about verifying outputs, and the keys that they are signed with."""

from __future__ import annotations

from pydantic import Field

from gateway.api.messages import Query, Reply, Request, json_reply
from gateway.api.queries import Cursor
from gateway.api.route import PUBLIC, READ, WRITE, Route
from gateway.app import Gateway
from gateway.jobs.verification import Wanted
from gateway.jobs.views import API
from gateway.model.base import Name
from gateway.model.verification import SigningKeys, Verification


class VerifyQuery(Query):
    """`POST /jobs/{id}/verification`."""

    store: Name | None = Field(default=None, description="The job's first store by default.")
    sample: int | None = Field(
        default=None, ge=0, le=2**31, description="Read so many files again, chosen by chance; all by default."
    )
    fresh: bool = Field(default=False, description="Begin anew also where an earlier one was broken off.")


class VerificationQuery(Query):
    """`GET /jobs/{id}/verification`."""

    store: Name | None = Field(default=None, description="The job's first store by default.")
    limit: int = Field(default=1000, ge=1, le=5000, description="Files of one page of `findings`.")
    cursor: Cursor | None = Field(default=None, description="`next_cursor` of the page before.")


class OneStoreQuery(Query):
    """`DELETE /jobs/{id}/verification`."""

    store: Name | None = Field(default=None, description="The job's first store by default.")


async def verify_outputs(gateway: Gateway, request: Request) -> Reply:
    """Compare what stands in a store with what was signed: signature, listing, and every byte.

    It runs beside everything else: `GET` tells how far it is. One that was broken off goes on where it stopped.
    """
    query: VerifyQuery = request.query
    wanted = Wanted(query.store, query.sample, query.fresh)
    found = await gateway.verifier.begin(request.path["id"], request.owner, wanted)
    return json_reply(found, 202, {"Cache-Control": "no-cache"})


async def get_verification(gateway: Gateway, request: Request) -> Verification:
    """Show the latest verification of a store, and what it found."""
    query: VerificationQuery = request.query
    return await gateway.verifier.read(
        request.path["id"], request.owner, query.store, limit=query.limit, cursor=query.cursor
    )


async def cancel_verification(gateway: Gateway, request: Request) -> Verification:
    """End a verification that runs; what it found so far is kept."""
    return await gateway.verifier.cancel(request.path["id"], request.owner, request.query.store)


async def list_signing_keys(gateway: Gateway, request: Request) -> SigningKeys:  # noqa: ARG001
    """List the public keys whose signatures under manifests are believed."""
    return await gateway.signing_keys.list()


_PATH = f"{API}/jobs/{{id}}/verification"

ROUTES = (
    Route(
        "POST",
        _PATH,
        verify_outputs,
        WRITE,
        "Verify a job's outputs",
        query=VerifyQuery,
        response_model=Verification,
        status=202,
    ),
    Route(
        "GET",
        _PATH,
        get_verification,
        READ,
        "Show how a verification goes",
        query=VerificationQuery,
        response_model=Verification,
    ),
    Route(
        "DELETE",
        _PATH,
        cancel_verification,
        WRITE,
        "End a verification",
        query=OneStoreQuery,
        response_model=Verification,
    ),
    Route(
        "GET",
        f"{API}/signing-keys",
        list_signing_keys,
        PUBLIC,
        "List the keys that manifests are signed with",
        response_model=SigningKeys,
    ),
)

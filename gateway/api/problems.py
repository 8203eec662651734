"""Every type of problem (RFC 9457) that an answer can have: what it means, and what to do. Stable: names stay.

``python -m gateway.api.problems`` prints ``docs/problems.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.errors import GatewayError
from gateway.model.job import PROBLEM_PREFIX

ADVICE = {
    "internal": "A mistake of the gateway: look in its log for the request's id (`X-Request-ID`), and report it.",
    "validation": "Mend what `errors` names: each has a JSON pointer into the body, or `?name` of a query parameter.",
    "malformed": "Send JSON in UTF-8, each key once, without `NaN`.",
    "unauthenticated": "Send `Authorization: Bearer <token>` with a token that is valid.",
    "forbidden": "Ask an administrator for the role, or use a token with the scope.",
    "not-found": "Look for the id in a list. What belongs to somebody else is not found either.",
    "method-not-allowed": "Use a method that the header `Allow` names.",
    "conflict": "Read the thing again: its state allows something else now.",
    "precondition-failed": "Read it again, and repeat the change with its new `ETag` if you still want it.",
    "too-large": "Send less, or upload large inputs by `POST /uploads` and name their digest.",
    "media-type": "Send the body as the type that the route names.",
    "range": "Ask for bytes within the size that `Content-Range` tells.",
    "misdirected": "Use the name or address by which the gateway is configured (`gateway.listen`).",
    "too-many-requests": "Wait as long as `Retry-After` says, and send fewer requests.",
    "no-room": "Free the gateway's disk, or ask its administrator to.",
    "configuration": "Mend the keys of gateway.toml that it names; `gateway check` finds all mistakes.",
    "case": "Run `gateway cases check` on the case's folder and mend what it names.",
    "body-broken": "Send the request again; a long upload goes on where it ended by `PATCH /uploads/{id}`.",
    "data-folder-in-use": "Stop the other gateway, or use another `gateway.data`.",
    "target": "Look at `POST /targets/{name}/check`; try again when the target is well.",
    "target-unreachable": "Try again later; jobs go on without the gateway.",
    "target-timeout": "Try again later; what was asked for may have happened.",
    "lease-lost": "Nothing: the process that drives the target goes on with its jobs.",
    "needs-login": "Renew key, certificate or password of the target's account, then `POST /targets/{name}/check`.",
    "host-key": "Ask the site whether its key changed; only then put the new one in the configuration.",
    "remote-command": "Read the command's own words in `detail`.",
    "staging": "Look at quota and permissions of the target's `workdir`.",
    "scheduler": "Look at the scheduler on the target; try again when it answers.",
    "scheduler-rejected": "Change what the scheduler's words name: queue, account, resources.",
    "store": "Read what the store said in `detail`; look at its credentials and quota.",
    "archived": "Bring it back by `POST /jobs/{id}/retention/restore`, and come again hours later.",
    "store-unreachable": "Try again later; outputs wait on the target.",
    "url": "Look at the URL: it must be http(s), public or allowed by the administrator, and there.",
    "url-unreachable": "Try again later, or name another mirror.",
    "crate": "Read what `detail` names: the crate is damaged, not one of a run, or lacks what a run needs.",
    "image": "Look at the image's reference, digest and mirrors, or build the case's image again.",
    "missing-program": "Install what the hint names on the gateway's machine.",
    "database": "Try again in a moment; look at the database if it lasts.",
}
"""What to do about each type, in one sentence."""

_NO_ANSWERS = ("gateway.cli.", "gateway.client.")
"""Their exceptions are never an answer of the API."""

_HEAD = """\
# Problems

Every mistake is answered as `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, and where it
helps `hint` and `errors` (`[{"pointer": "#/resources/walltime", "detail": "…"}]`). Programs go by `type`, which is one
of these and stays as it is; `title` and `detail` are for people and may change.
"""


@dataclass(frozen=True)
class ProblemType:
    """One type of problem; `name` is the end of its `type`."""

    name: str
    status: int
    title: str
    meaning: str
    advice: str

    @property
    def type(self) -> str:
        """As it stands in an answer."""
        return PROBLEM_PREFIX + self.name


def problem_types() -> list[ProblemType]:
    """Return all types by status and name; those of every exception in the one tree."""
    import gateway.api.routes
    import gateway.api.tornado_adapter  # noqa: F401  (whoever serves knows all of them)

    first: dict[str, type[GatewayError]] = {}
    for kind in _tree(GatewayError):
        first.setdefault(kind.problem, kind)
    found = [_described(kind) for kind in first.values()]
    return sorted(found, key=lambda item: (item.status, item.name))


def _tree(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__.startswith("gateway.") and not child.__module__.startswith(_NO_ANSWERS):
            yield from _tree(child)


def _described(kind: type[GatewayError]) -> ProblemType:
    meaning = "Something that the gateway did not expect."
    if kind is not GatewayError:
        meaning = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    advice = ADVICE.get(kind.problem, "")
    return ProblemType(kind.problem, kind.status, kind.title, meaning, advice)


def markdown() -> str:
    """Return ``docs/problems.md``."""
    rows = [
        f"| {item.status} | `{item.type}` | {item.title} | {item.meaning.replace('|', '/')} | {item.advice} |"
        for item in problem_types()
    ]
    return "\n".join([_HEAD, "| status | type | title | meaning | what to do |", "|---|---|---|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(markdown())

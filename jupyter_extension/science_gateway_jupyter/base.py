"""What all handlers of the extension share."""

from __future__ import annotations

import json
from types import TracebackType
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.concurrent import Future

from gateway.api.messages import PROBLEM, parse_json, problem_reply
from gateway.errors import GatewayError, PayloadTooLarge
from gateway.model.job import PROBLEM_PREFIX
from science_gateway_jupyter.passing import SAFE_HEADERS

if TYPE_CHECKING:
    from science_gateway_jupyter.app import Shared

RESOURCE = "gateway"
"""What Jupyter's authorizer is asked about."""
MAX_BODY = 64 * 1024


class GatewayHandler(APIHandler):
    """Answers mistakes as problem documents, and does not count as the person's activity.

    A panel that looks on by itself must not keep a server alive that JupyterHub would end.
    """

    _track_activity = False

    def initialize(self, shared: Shared) -> None:
        """Take what all handlers share."""
        self.shared = shared

    def set_default_headers(self) -> None:
        """Take Jupyter's, and those that make every answer harmless."""
        super().set_default_headers()
        for name, value in SAFE_HEADERS.items():
            self.set_header(name, value)
        self.set_header("Cache-Control", "no-store")

    def compute_etag(self) -> str | None:
        """Leave ETags to the gateway."""
        return None

    def finish(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Keep the content type that was set."""
        kwargs.setdefault("set_content_type", self._headers.get("Content-Type", "application/json"))
        return super().finish(*args, **kwargs)

    async def check_allowed(self, action: str) -> None:
        """Raise unless the request's user may do `action`, for work that begins before a verb is called."""
        user = self.current_user
        if not user:
            raise web.HTTPError(403)
        if not await ensure_async(self.authorizer.is_authorized(self, user, action, RESOURCE)):
            raise web.HTTPError(403, f"User is not authorized to {action} on resource: {RESOURCE}.")

    def json_body(self) -> Any:
        """Parse the body; its text is in no log, since it may hold a token. Raises `GatewayError`."""
        if len(self.request.body) > MAX_BODY:
            raise PayloadTooLarge(f"the body has more than {MAX_BODY} bytes")
        return parse_json(self.request.body)

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Say what is no mistake of the program in one line."""
        if isinstance(value, GatewayError):
            self.log.info("%s %s: %s", self.request.method, self.request.path, value.message)
        else:
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a problem document."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, GatewayError):
            reply = problem_reply(error)
            self.set_status(reply.status)
            if "Retry-After" in reply.headers:
                self.set_header("Retry-After", reply.headers["Retry-After"])
            content = reply.content
        else:
            content = json.dumps(_plain_problem(status_code, error)).encode()
        self.set_header("Content-Type", PROBLEM)
        self.finish(content)


def _plain_problem(status: int, error: BaseException | None) -> dict[str, Any]:
    """Return the problem of an error that is not the gateway's: Jupyter's refusals, and mistakes of the program."""
    word, title = {
        403: ("forbidden", "Not allowed"),
        404: ("not-found", "Not found"),
        405: ("method-not-allowed", "The method is not allowed here"),
    }.get(status, ("internal", "Unexpected error") if status >= 500 else ("malformed", "The request cannot be read"))
    said = error.log_message if isinstance(error, web.HTTPError) and status < 500 else None
    detail = said or ("the extension failed; Jupyter's log has the details" if status >= 500 else title)
    return {"type": PROBLEM_PREFIX + word, "title": title, "status": status, "detail": detail}

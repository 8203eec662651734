"""The id of a request, in every line of the log that is written for it."""

from __future__ import annotations

import logging
import re
import secrets
from contextvars import ContextVar

current: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request that this task works for; ``-`` outside of any."""

FORMAT = "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}\Z")
_MARK = "_gateway_handler"


def choose(given: str | None) -> str:
    """Return the id that a proxy gave in ``X-Request-ID``, where it is well-formed, else a new one."""
    return given if given is not None and _WELL_FORMED.match(given) else secrets.token_hex(8)


class RequestIds(logging.Filter):
    """Gives each record the attribute `request_id`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id; keep the record."""
        record.request_id = current.get()
        return True


def log_to_stderr(level: str) -> None:
    """Write the log to standard error, one line a record with the request's id. May be called again."""
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if getattr(handler, _MARK, False)]:
        root.removeHandler(old)
    handler = logging.StreamHandler()
    setattr(handler, _MARK, True)
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(RequestIds())
    root.addHandler(handler)
    logging.getLogger("gateway").setLevel(level.upper())

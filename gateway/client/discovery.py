"""Finding a running gateway: by the environment, else by the ``server.json`` in its data folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_DATA = Path("~/.local/share/science-gateway")


@dataclass(frozen=True)
class Endpoint:
    """Where a gateway listens, and the token it takes."""

    url: str
    token: str | None

    def __repr__(self) -> str:
        """Never show the token."""
        return f"Endpoint({self.url!r})"


def find_gateway(data: Path | None = None, environ: Mapping[str, str] | None = None) -> Endpoint | None:
    """Return the gateway to talk to, None where none runs.

    Parameters
    ----------
    data
        The gateway's data folder, by default ``$GATEWAY_DATA`` or that of a gateway without configuration;
        ``$GATEWAY_URL`` with ``$GATEWAY_TOKEN`` (or ``$GATEWAY_TOKEN_FILE``) come first.
    """
    environ = os.environ if environ is None else environ
    if url := environ.get("GATEWAY_URL"):
        token = environ.get("GATEWAY_TOKEN")
        if token is None and (file := environ.get("GATEWAY_TOKEN_FILE")):
            token = _read(Path(file))
        return Endpoint(url.rstrip("/"), token)
    folder = (data or Path(environ.get("GATEWAY_DATA") or DEFAULT_DATA)).expanduser()
    try:
        server = json.loads((folder / "server.json").read_text())
        url, pid, file = str(server["url"]), int(server["pid"]), str(server["token_file"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not _alive(pid):
        return None
    return Endpoint(url.rstrip("/"), _read(Path(file)))


def _read(file: Path) -> str | None:
    try:
        return file.expanduser().read_text().strip() or None
    except OSError:
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

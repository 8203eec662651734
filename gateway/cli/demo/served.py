"""``gateway serve`` as a child of the demo, which ends with it, however it ends."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from gateway.cli.demo.places import Places
from gateway.cli.text import plain
from gateway.client import Gateway, GatewayNotRunning, find_gateway
from gateway.errors import GatewayError

START_SECONDS = 30.0
STOP_SECONDS = 20.0
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _end_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def served(places: Places) -> Iterator[Gateway]:
    """Serve the demo's configuration, and yield a client of it.

    Raises
    ------
    GatewayError
        It did not start; with the end of its log.
    """
    argv = [sys.executable, "-m", "gateway.cli.main", "--config", str(places.config), "serve"]
    with places.log.open("w") as log:
        # A session of its own: Ctrl-C is for the demo, which cancels the job before the gateway goes.
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 (called before there are threads)
        )
    try:
        with _connect(places, child) as client:
            yield client
    finally:
        _stop(child)


def _connect(places: Places, child: subprocess.Popen[bytes]) -> Gateway:
    """Wait until the gateway answers."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if child.poll() is not None:
            break
        endpoint = find_gateway(places.data, environ={})
        if endpoint is not None:
            client = Gateway(endpoint.url, endpoint.token)
            with contextlib.suppress(GatewayNotRunning):
                client.targets()
                return client
            client.close()
        time.sleep(0.05)
    end = plain(places.log.read_text(errors="replace")).strip().splitlines()[-5:]
    raise GatewayError(f"the gateway did not start: {' / '.join(end) or 'it said nothing'}", hint=f"see {places.log}")


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()

"""Where the demo's job runs: this machine, or a cluster that is brought up for it. And the configuration."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.cli.demo.places import Places, checkout
from gateway.errors import GatewayError, MissingProgram

TARGETS = ("local", "pbs", "slurm")
USUAL_PORT = 8480


@contextlib.contextmanager
def site(target: str) -> Iterator[dict[str, Any]]:
    """Bring up what `target` needs, and yield its section of the configuration.

    Raises
    ------
    MissingProgram
        Something is not installed; the message says how to get it.
    GatewayError
        The cluster could not be started.
    """
    if target == "local":
        yield {"poll_interval": 0.5}
        return
    top = checkout()
    if top is None:
        raise GatewayError("the test cluster is part of a checkout, not of the installed package")
    sys.path.insert(0, str(top))
    from testbed.cluster import Cluster
    from testbed.processes import MissingPart, TestbedError

    try:
        cluster = Cluster().start()
    except MissingPart as error:
        raise MissingProgram(str(error)) from None
    except TestbedError as error:
        raise GatewayError(f"the test cluster could not be started: {error}") from None
    try:
        yield {
            "poll_interval": 1,
            "workdir": f"{cluster.home}/gateway",
            "image_cache": f"{cluster.home}/images",
            "transport": {
                "kind": "ssh",
                "host": "127.0.0.1",
                "port": cluster.ssh_port,
                "username": cluster.user,
                "key_file": str(cluster.client_key),
                "host_key": [cluster.host_key],
            },
            "scheduler": {"kind": target, "queue": "batch"},
        }
    finally:
        cluster.stop()


def configuration(places: Places, target: str, section: Mapping[str, Any]) -> str:
    """Return the text of gateway.toml."""
    whole = {
        "gateway": {
            "listen": f"127.0.0.1:{_port()}",
            "data": str(places.data),
            "default_target": target,
            "default_store": "results",
            "allow_urls": ["127.0.0.1"],
        },
        f"targets.{target}": section,
        "stores.results": {"kind": "directory", "path": "{data}/results"},
    }
    return "\n".join(_section(name, values) for name, values in whole.items())


def _section(name: str, values: Mapping[str, Any]) -> str:
    # Numbers, lists and strings of JSON are TOML too.
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, Mapping)]
    nested = [_section(f"{name}.{key}", value) for key, value in values.items() if isinstance(value, Mapping)]
    return "\n".join([f"[{name}]", *lines, *nested]) + "\n"


def _port() -> int:
    """Return the usual port, or another one where that is taken."""
    for port in (USUAL_PORT, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise GatewayError("no port is free on 127.0.0.1")

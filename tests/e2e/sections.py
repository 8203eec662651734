"""Sections of gateway.toml for the parts of the test bed."""

from __future__ import annotations

import uuid
from typing import Any

from testbed.sshd import SshSite


def ssh_target(site: SshSite, scheduler: str, name: str, **settings: Any) -> dict[str, Any]:
    """Return a target's section: one account of a site, folders of this test's own."""
    base = f"{site.home}/{name}-{uuid.uuid4().hex[:6]}"
    return {
        "poll_interval": 0.3,
        "workdir": f"{base}/work",
        "image_cache": f"{base}/images",
        "transport": {
            "kind": "ssh",
            "host": "127.0.0.1",
            "port": site.ssh_port,
            "username": site.user,
            "key_file": str(site.client_key),
            "host_key": [site.host_key],
        },
        "scheduler": {"kind": scheduler},
        "runtime": {"kind": "charliecloud"},
        **settings,
    }


def local_target(**settings: Any) -> dict[str, Any]:
    """Return the section of a target that is this machine."""
    return {"poll_interval": 0.3, "runtime": {"kind": "charliecloud"}, **settings}

"""Settings of a target's container runtime."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from gateway.settings import PluginSettings

ORDER = ("apptainer", "singularity", "charliecloud", "podman", "docker")
"""In which order ``auto`` tries the runtimes on the node."""

HostFolder = Annotated[str, StringConstraints(pattern=r"^/[^:,\x00-\x1f]*$")]


class RuntimeSettings(PluginSettings):
    """Section ``[targets.<name>.runtime]``.

    Attributes
    ----------
    kind
        A runtime, or ``auto``: the first one that the node has.
    allow_host
        Whether jobs may run without a container (``image: null``). They then see what the account sees.
    binds
        Folders of the node that every container sees, read-only.
    bind_roots
        Folders of the node below which a job may ask to see some, read-only.
    """

    kind: str = "auto"
    allow_host: bool = False
    binds: tuple[HostFolder, ...] = ()
    bind_roots: tuple[HostFolder, ...] = ()

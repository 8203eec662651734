"""What a container runtime is: a bash library with five functions, inlined into the batch script."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from gateway import templates
from gateway.compute.runtime.settings import RuntimeSettings


class Runtime(ABC):
    """A container runtime.

    The library defines, for kind ``x`` (``-`` becomes ``_``), functions that read the variables of
    ``docs/job-folder.md`` and may use ``lib/payload.sh``, ``lib/pull.sh`` and ``lib/records.sh``:

    ``gw_x_available``
        status 0 where this node can use it; sets ``gw_problem`` to one sentence otherwise. May use ``lib/payload.sh``
        only, and has no effects.
    ``gw_x_prepare IMAGE``
        makes the pulled image file usable (an unpacked folder …) and sets ``gw_root``; status not 0 and
        ``gw_problem`` where it cannot.
    ``gw_x_run``
        runs ``gw_command`` in the container, whose ``/job`` is the job's folder, and ends with the payload's status (or
        replaces the calling process). The caller has put that process into a process group of its own,
        ``gw_payload_pid``.
    ``gw_x_stop SECONDS``
        asks the payload to end, and forces it after SECONDS: the whole tree, in whatever process group. May be
        called by another process of the attempt, which has called ``gw_x_available`` but not ``gw_x_prepare``.
    ``gw_x_alive``
        status 0 while anything of the payload lives.
    ``gw_x_beside``
        optional: makes what a second container needs that runs beside the payload's (``lib/beside.sh``), such as a
        folder of its own. It is called in a process of its own, before ``gw_x_run``, with another ``gw_attempt``.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type[RuntimeSettings]] = RuntimeSettings

    @abstractmethod
    def library(self) -> str:
        """Return the text of the bash library."""


class LibraryRuntime(Runtime):
    """A runtime whose library is a file of ``job_templates/lib``."""

    library_name: ClassVar[str]

    def library(self) -> str:
        """Return the text of the file."""
        return templates.library(self.library_name)

"""Charliecloud."""

from gateway.compute.runtime.base import LibraryRuntime


class Charliecloud(LibraryRuntime):
    """``ch-run`` on the unpacked image, in a PID namespace of its own. Needs user namespaces, no daemon."""

    kind = "charliecloud"
    library_name = "runtime_charliecloud.sh"

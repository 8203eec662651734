"""Podman and Docker."""

from gateway.compute.runtime.base import LibraryRuntime


class Podman(LibraryRuntime):
    """``podman run --rootfs`` on the unpacked image; containers are stopped by name."""

    kind = "podman"
    library_name = "runtime_podman.sh"


class Docker(LibraryRuntime):
    """``docker run``; the image is imported once for each digest."""

    kind = "docker"
    library_name = "runtime_docker.sh"

"""Fixtures of the image pull: mirrors, nodes and images."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from published_site import Opened, PublishedSite, open_gateway, settings_with
from pull_site import Image, Mirror, MirrorServer, Node, command_folder, mirror_handler

from testbed.mirror import Mirror as PublicMirror


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    made = Mirror()
    server = MirrorServer(("127.0.0.1", 0), mirror_handler(made))
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    made.gate.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def make_node(tmp_path: Path) -> Callable[..., Node]:
    def make(*downloaders: str, leave_out: tuple[str, ...] = ()) -> Node:
        name = "-".join(("bin", *downloaders))
        return Node(tmp_path / "cache", command_folder(tmp_path / name, *downloaders, leave_out=leave_out))

    return make


@pytest.fixture
def node(make_node: Callable[..., Node]) -> Node:
    return make_node("curl", "aria2c")


@pytest.fixture
def ordinary_node() -> Iterator[Node]:
    """A node used by somebody without rights (uid 65534 where the tests run as root)."""
    folder = Path(tempfile.mkdtemp(prefix="pull-"))
    folder.chmod(0o777)
    yield Node(folder / "cache", command_folder(folder / "bin", "curl", "aria2c"), ordinary=True)
    if (folder / "cache").exists():
        (folder / "cache").chmod(0o777)  # a test may have made it read-only
    shutil.rmtree(folder)


@pytest.fixture
def image(mirror: Mirror) -> Image:
    """An image of 3 MB that begins as a SIF does, served as ``image``."""
    body = os.urandom(1000) * 3000
    made = Image(b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0" + body)
    mirror.files["image"] = made.data
    return made


@pytest.fixture(scope="session")
def squashfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small root file system, with a device, a read-only folder and an odd name in it."""
    folder = tmp_path_factory.mktemp("squashfs")
    tree = folder / "tree"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/tool").write_text("#!/bin/sh\necho tool\n")
    (tree / "bin").symlink_to("usr/bin")
    (tree / "etc").mkdir()
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (tree / "etc/a name with blanks").write_text("x" * 5000)
    pseudo = ["-p", "dev d 755 0 0", "-p", "dev/null c 666 0 0 1 3", "-p", "locked d 555 0 0"]
    packed = folder / "image.sqfs"
    subprocess.run(
        ["mksquashfs", tree, packed, "-quiet", "-no-progress", "-all-root", *pseudo],
        check=True,
        capture_output=True,
    )
    return packed


@pytest.fixture(scope="session")
def sif(squashfs: Path) -> Path:
    """The same as a SIF, its partition after a definition file."""
    made = squashfs.with_suffix(".sif")
    recipe = squashfs.with_suffix(".def")
    recipe.write_text("Bootstrap: scratch\n")
    subprocess.run(["siftool", "new", made], check=True)
    subprocess.run(["siftool", "add", "--datatype", "1", made, recipe], check=True)
    partition = ["--datatype", "4", "--parttype", "2", "--partfs", "1", "--partarch", "2"]
    subprocess.run(["siftool", "add", *partition, made, squashfs], check=True)
    return made


@pytest.fixture
def public() -> Iterator[PublicMirror]:
    """What the world reads folders through, and where images are at first."""
    with PublicMirror() as made:
        yield made


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    """Open a gateway with mirrors."""
    async with AsyncExitStack() as stack:

        async def open_one(*mirrors: dict[str, Any], **more: Any) -> PublishedSite:
            settings = settings_with(tmp_path / "data", mirrors, **more)
            return PublishedSite(await stack.enter_async_context(open_gateway(settings)))

        yield open_one

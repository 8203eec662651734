"""Gateways that use the real parts of ``tests/conftest.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from running import RunningGateway

from testbed.images import TestImage
from testbed.mirror import Mirror

Start = Callable[..., RunningGateway]


@pytest.fixture(scope="module")
def start_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start gateways that end with the module."""
    started: list[RunningGateway] = []

    def start(raw: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> RunningGateway:
        gateway = RunningGateway(Path(tmp_path_factory.mktemp("gateway")), raw, environ)
        started.append(gateway)
        return gateway.start()

    yield start
    for gateway in started:
        gateway.stop()


@pytest.fixture(scope="module")
def module_mirror() -> Iterator[Mirror]:
    """An HTTP mirror for one module."""
    with Mirror() as made:
        yield made


@pytest.fixture(scope="module")
def image(module_mirror: Mirror, test_image: TestImage) -> dict[str, str]:
    """The test image as a specification names it."""
    url = module_mirror.serve("/test.sqfs", test_image.squashfs)
    return {"ref": url, "digest": test_image.squashfs_digest}

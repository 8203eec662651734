"""Accounts that run containers: the tests' own, and an ordinary one where the tests run as root."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.accounts import provide_accounts
from testbed.images import TestImage
from testbed.processes import Keeper
from tests.compute.runtime.container_run import Person, Run


@pytest.fixture(scope="session")
def ordinary_uid() -> Iterator[int]:
    """A temporary account where the tests run as root, else the own one."""
    keeper = Keeper()
    try:
        yield provide_accounts(keeper, 1, "/bin/bash")[0].uid
    finally:
        keeper.leave()


def _person(uid: int, image: TestImage) -> Iterator[Person]:
    # /tmp and not tmp_path, which other accounts cannot enter
    folder = Path(tempfile.mkdtemp(prefix="gwrun-", dir="/tmp"))
    folder.chmod(0o755)
    copy = Path(shutil.copy(image.squashfs, folder / "test.sqfs"))
    copy.chmod(0o644)
    person = Person(uid, folder, copy)
    person.own(folder)
    yield person
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def own(test_image: TestImage) -> Iterator[Person]:
    """Who runs the tests."""
    yield from _person(os.geteuid(), test_image)


@pytest.fixture(scope="session")
def ordinary(test_image: TestImage, ordinary_uid: int) -> Iterator[Person]:
    """Somebody without rights."""
    yield from _person(ordinary_uid, test_image)


@pytest.fixture(params=["own", "ordinary"])
def person(request: pytest.FixtureRequest) -> Person:
    """Each of them."""
    chosen: Person = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture(params=["charliecloud", "podman"])
def make_run(request: pytest.FixtureRequest, person: Person) -> Callable[..., Run]:
    """Make runs in each runtime that this machine has, as each account."""

    def make(*command: str, **given: Any) -> Run:
        return Run(person, request.param, command, **given)

    return make

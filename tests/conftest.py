"""The real parts that tests run against, and the proof that a run leaves nothing behind."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from testbed import leftovers
from testbed.azurite import Azurite
from testbed.cluster import Cluster
from testbed.hostile import hostile_site as make_hostile_site
from testbed.images import TestImage, build_test_image
from testbed.mirror import Mirror
from testbed.postgres import Postgres
from testbed.processes import locked, shared
from testbed.seaweed import Seaweed
from testbed.sshd import SshSite

# How long an example takes says more about the machine than about the code.
settings.register_profile("machine", deadline=None)
settings.load_profile("machine")


@pytest.fixture(scope="session", autouse=True)
def nothing_left() -> Iterator[None]:
    """Fail the run when a process that a test started, or a listening socket, outlives it."""
    mark = secrets.token_hex(8)
    os.environ[leftovers.MARK] = mark
    yield
    del os.environ[leftovers.MARK]
    left = leftovers.end_processes(mark)
    sockets = leftovers.listening(os.getpid())
    if left or sockets:
        raise AssertionError(f"left by the tests: processes {left}, listening sockets {sockets}")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A batch cluster with two nodes and one account, for this worker."""
    with Cluster() as made:
        yield made


@pytest.fixture(scope="session")
def plain_sshd() -> Iterator[SshSite]:
    """A machine with an SSH server and no batch system (the "cloud VM"), for this worker."""
    with SshSite() as made:
        yield made


@pytest.fixture(scope="session")
def hostile_site() -> Iterator[SshSite]:
    """A machine with csh, noisy start-up files, no SFTP and two sessions per connection."""
    with make_hostile_site() as made:
        yield made


@pytest.fixture(scope="session")
def azurite(run_folder: Path) -> Iterator[Azurite]:
    """One blob service for all workers: take containers of your own, do not stop it."""
    part = shared(Azurite, run_folder, "azurite")
    yield part
    part.stop()


@pytest.fixture
def own_azurite() -> Iterator[Azurite]:
    """A blob service for one test, which may stop it and start it again with its data."""
    with Azurite(persistent=True) as made:
        yield made


@pytest.fixture(scope="session")
def seaweed(run_folder: Path) -> Iterator[Seaweed]:
    """One S3 service for all workers: take names of your own, do not stop it."""
    part = shared(Seaweed, run_folder, "seaweed")
    yield part
    part.stop()


@pytest.fixture
def own_seaweed() -> Iterator[Seaweed]:
    """An S3 service for one test, which may stop it and start it again with its data."""
    with Seaweed() as made:
        yield made


@pytest.fixture(scope="session")
def postgres(run_folder: Path) -> Iterator[Postgres]:
    """One database server for all workers: take databases of your own, do not stop it."""
    part = shared(Postgres, run_folder, "postgres")
    yield part
    part.stop()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """An empty PostgreSQL database of this test's own."""
    url = postgres.make_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="session")
def test_image(run_folder: Path) -> TestImage:
    """A small container image (bash and busybox) as folder, squashfs and SIF, built once per run."""
    folder = run_folder / "test-image"
    record = folder / "built"
    with locked(run_folder / "test-image.lock"):
        if record.exists():
            return TestImage.load(record)
        image = build_test_image(folder)
        image.save(record)
        return image


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """An HTTP mirror of this test's own."""
    with Mirror() as made:
        yield made

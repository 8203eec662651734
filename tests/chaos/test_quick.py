"""The quick scenarios, several at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from testbed.azurite import Azurite
from testbed.cluster import Cluster
from testbed.postgres import Postgres
from testbed.processes import shared
from testbed.seaweed import Seaweed
from tests.chaos.playing import Played, playing
from tests.chaos.registry import Scenario, all_scenarios
from tests.chaos.yard import Yard

pytestmark = [pytest.mark.real, pytest.mark.chaos]

SCENARIOS = all_scenarios(quick=True)
AT_ONCE = 4


@pytest.fixture(scope="module")
def answers(request: pytest.FixtureRequest, run_folder: Path, cluster: Cluster) -> Iterator[dict[str, Future[Played]]]:
    """The answers of all scenarios that this run wants."""
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = [found["one"] for found in params if isinstance(found.get("one"), Scenario)]
    chosen = [one for one in SCENARIOS if one in wanted]
    parts: list[Azurite | Seaweed | Postgres] = []

    def joined(kind: type[Azurite] | type[Seaweed] | type[Postgres], name: str) -> Azurite | Seaweed | Postgres:
        parts.append(shared(kind, run_folder, name))
        return parts[-1]

    yard = Yard(
        {
            "cluster": lambda: cluster,
            "azurite": lambda: joined(Azurite, "azurite"),
            "seaweed": lambda: joined(Seaweed, "seaweed"),
            "postgres": lambda: joined(Postgres, "postgres"),
            "image": lambda: request.getfixturevalue("test_image"),
        }
    )
    try:
        with playing(chosen, yard, AT_ONCE) as found:
            yield found
    finally:
        yard.close()
        for part in parts:
            part.stop()


@pytest.mark.parametrize("one", SCENARIOS, ids=lambda one: one.name)
def test_nothing_is_harmed_when(one: Scenario, answers: dict[str, Future[Played]]) -> None:
    """What is asserted stands in the scenario, and in `tests.chaos.sound`."""
    played = answers[one.name].result()
    if played.trace is not None:
        pytest.fail(played.trace, pytrace=False)

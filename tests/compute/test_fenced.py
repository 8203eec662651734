"""A fence on a target: an earlier holder's command does nothing once a later one has put its fence up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.compute.transport.fenced import Fence, FencedTransport
from gateway.compute.transport.local import LocalSettings, LocalTransport
from gateway.errors import LeaseLost

Make = Callable[..., FencedTransport]


def nothing() -> None:
    """The lease holds."""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    beaten: list[int] = []

    def make(token: int, *, name: str = "base-lane", check: Callable[[], None] = nothing) -> FencedTransport:
        async def folder() -> str:
            return str(tmp_path / "it's" / "fences")

        inner = LocalTransport(LocalSettings(), env={}, path=None, state_folder=tmp_path)
        made = FencedTransport(inner, Fence(folder, name, token, check, beaten.append))
        made.beaten = beaten  # type: ignore[attr-defined]
        return made

    return make


def fences(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "it's/fences").iterdir())


async def test_a_command_runs_with_its_data_and_puts_the_fence_up(make: Make, tmp_path: Path) -> None:
    result = await make(3).run("cat; echo oops >&2; exit 4", data=b"some data")
    assert (result.stdout, result.stderr, result.exit_status) == (b"some data", b"oops\n", 4)
    assert fences(tmp_path) == ["base-lane.3"]


async def test_an_earlier_holder_changes_nothing_and_learns_who_came(make: Make, tmp_path: Path) -> None:
    earlier, later = make(9), make(10)
    await earlier.run(":")
    await later.run(":")
    with pytest.raises(LeaseLost):
        await earlier.run(f"cat >{tmp_path}/changed", data=b"x" * 100_000)
    assert not (tmp_path / "changed").exists()
    assert earlier.beaten == [10]  # type: ignore[attr-defined]
    assert fences(tmp_path) == ["base-lane.10"]
    assert (await later.run("echo still")).stdout == b"still\n"


async def test_another_database_or_lane_has_a_fence_of_its_own(make: Make, tmp_path: Path) -> None:
    await make(7).run(":")
    assert (await make(1, name="other-lane").run("echo fine")).stdout == b"fine\n"
    assert fences(tmp_path) == ["base-lane.7", "other-lane.1"]


async def test_a_fence_that_cannot_be_put_up_keeps_nobody_out(make: Make, tmp_path: Path) -> None:
    (tmp_path / "it's").write_text("a file where the folder should be")
    assert (await make(1).run("echo fine")).stdout == b"fine\n"


async def test_nothing_is_sent_when_the_lease_is_over_here(make: Make, tmp_path: Path) -> None:
    def over() -> None:
        raise LeaseLost("over")

    with pytest.raises(LeaseLost):
        await make(1, check=over).run(f"touch {tmp_path}/changed")
    assert not (tmp_path / "changed").exists()


async def test_a_command_of_its_own_that_ends_alike_is_no_refusal(make: Make) -> None:
    assert (await make(1).run("exit 113")).exit_status == 113

"""docs/jupyter.md names every setting, every address and every problem of the extension's own."""

from __future__ import annotations

from pathlib import Path

from gateway.errors import GatewayError
from science_gateway_jupyter import errors
from science_gateway_jupyter.app import ScienceGateway
from tests.jupyter_extension.serving import Served

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs/jupyter.md").read_text()


def test_every_setting_is_described() -> None:
    mine = [name for name in ScienceGateway.class_own_traits(config=True) if name in vars(ScienceGateway)]
    assert len(mine) == 5
    for name in mine:
        assert f"| `c.ScienceGateway.{name}` |" in PAGE


def test_every_problem_is_described() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]
    assert kinds
    for kind in kinds:
        assert issubclass(kind, GatewayError)
        assert f"`{kind.problem}`" in PAGE


async def test_every_address_is_described(remote: Served) -> None:
    for pattern, _, _ in remote.extension.handlers:
        assert f"| `{pattern.replace('(.*)', '…')}` |" in PAGE

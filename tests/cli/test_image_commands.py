"""``gateway cases build``: in the gateway's data folder, whether a gateway runs or not."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import MissingProgram
from gateway.images import published
from gateway.images.build import BuiltImage

DIGEST = "sha256:" + "5" * 64


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Let a stand-in build; return the recipes that it was given."""
    seen: list[str] = []

    async def stand_in(recipe: Path, folder: Path, on_progress: Any) -> BuiltImage:
        seen.append(recipe.parents[1].name)
        on_progress("packing the image")
        file = tmp_path / "packed"
        file.write_bytes(b"hsqs")
        return BuiltImage(file, DIGEST, 4)

    monkeypatch.setitem(published.PublishedImages.__init__.__kwdefaults__, "builder", stand_in)
    return seen


def test_an_image_is_built_once_and_told_as_text_and_as_json(command: Any, config: Path, builds: list[str]) -> None:
    first = command("cases", "build", "cavity")
    assert first.status == 0, first.err
    assert first.out == f"cavity: {DIGEST}, 4 B\n"
    assert first.err == "cavity: packing the image\n"

    (item,) = command("cases", "build", "cavity", "--json").json["items"]
    assert (item["case"], item["name"], item["digest"], item["size"]) == ("cavity", "cavity", DIGEST, 4)
    assert Path(item["file"]).read_bytes() == b"hsqs"
    assert builds == ["cavity"]


def test_an_unknown_case_and_a_missing_program_are_told(
    command: Any, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = command("cases", "build", "nonsense")
    assert unknown.status == 3
    assert "nonsense" in unknown.err

    async def cannot(*_: Any) -> BuiltImage:
        raise MissingProgram("Building an image needs mmdebstrap.", hint="as root: apt-get install mmdebstrap")

    monkeypatch.setitem(published.PublishedImages.__init__.__kwdefaults__, "builder", cannot)
    failed = command("cases", "build", "cavity")
    assert failed.status == 1
    assert "apt-get install mmdebstrap" in failed.err


def test_the_puller_is_one_program_that_a_site_can_keep(command: Any, config: Path, tmp_path: Path) -> None:
    file = tmp_path / "pull.sh"
    printed = command("images", "puller")
    assert (printed.status, command("images", "puller", "-o", str(file)).status) == (0, 0)
    assert file.read_text() == printed.out
    said = subprocess.run([file], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr.split()[:2]) == (2, ["usage:", "pull.sh"])

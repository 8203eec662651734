"""Which commands an image exports."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ImageError
from gateway.images.tools import commands_of, exported, labels, variables
from testbed.images import TestImage, make_sif
from tests.job_templates.tool_images import SHOW, tool_image


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('export DEPLOY_PATH="/opt/fsl/bin:/opt/more/bin"', {"DEPLOY_PATH": "/opt/fsl/bin:/opt/more/bin"}),
        ('export DEPLOY_BINS="${DEPLOY_BINS:-"bet:fast"}"\nPATH=x', {"DEPLOY_BINS": "bet:fast"}),
        ("DEPLOY_BINS=bet", {"DEPLOY_BINS": "bet"}),
        ("export DEPLOY_BINS=$(rm -rf /)", {}),
        ("export DEPLOY_BINS='", {}),
        ("export DEPLOY_BINS=\necho DEPLOY_PATH=/x", {}),
    ],
)
def test_variables_are_read_and_never_run(text: str, found: dict[str, str]) -> None:
    assert variables(text) == found


@pytest.mark.parametrize("text", ["", "[]", "{", '{"DEPLOY_BINS": 3}', "[" * 100_000])
def test_labels_that_declare_nothing_declare_nothing(text: str) -> None:
    assert labels(text) == {}


def test_labels_declare_commands() -> None:
    assert labels('{"DEPLOY_BINS": "bet:fast", "other": 1}') == {"DEPLOY_BINS": "bet:fast"}


def test_names_that_cannot_be_commands_are_left_out() -> None:
    assert exported({"DEPLOY_BINS": "bet:../x:a b::-x:5tt@home"}, []) == ("5tt@home", "bet")


@pytest.mark.real
@pytest.mark.parametrize("as_sif", [False, True], ids=["squashfs", "sif"])
async def test_a_real_image_tells_its_commands(test_image: TestImage, tmp_path: Path, as_sif: bool) -> None:
    declares = 'export DEPLOY_PATH="/opt/alpha/bin:/bin" DEPLOY_UNKNOWN=1'
    programs = {"show": SHOW, "a name": SHOW, "other": SHOW}
    file = tool_image(test_image, tmp_path, "alpha", programs, declares.split(" DEPLOY_UNKNOWN")[0])
    if as_sif:
        file, squashfs = tmp_path / "alpha.sif", file
        make_sif(squashfs, file)
    assert await commands_of(file) == ("other", "show")


@pytest.mark.real
async def test_an_image_that_declares_nothing_has_what_is_in_its_own_folders(
    test_image: TestImage, tmp_path: Path
) -> None:
    assert await commands_of(tool_image(test_image, tmp_path, "beta", {"show": SHOW})) == ("show",)
    assert await commands_of(test_image.squashfs) == ()


@pytest.mark.real
async def test_what_is_no_image_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 5000)
    with pytest.raises(ImageError, match="cannot be read: holds no squashfs file system"):
        await commands_of(tmp_path / "x")

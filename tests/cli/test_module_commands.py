"""``gateway images scan`` and ``gateway images modules``, and tools on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from testbed.images import TestImage
from testbed.mirror import Mirror
from tests.cli.conftest import CONFIG, Command
from tests.job_templates.tool_images import PROGRAMS, tool_image


@pytest.fixture
def config(config: Path) -> Path:
    """A gateway that may reach mirrors of this machine."""
    data = json.dumps(str(config.parent / "data"))
    config.write_text(CONFIG.format(data=data).replace("[gateway]", '[gateway]\nallow_urls = ["127.0.0.1"]', 1))
    return config


@pytest.mark.usefixtures("serving")
def test_commands_are_read_from_an_image_and_written_as_modules(
    command: Command, test_image: TestImage, tmp_path: Path, mirror: Mirror
) -> None:
    out, file = tmp_path / "out", tool_image(test_image, tmp_path, "alpha", PROGRAMS)
    url = mirror.serve("/alpha.sqfs", file)
    assert command("images", "add", "alpha/1.0", url).status == 0
    without = command("images", "modules", "--out", out, "--cache", "/srv/images", "alpha/1.0")
    assert without.status == 5
    assert "its commands are not known (gateway images scan alpha/1.0)" in without.err
    scanned = command("images", "scan", "alpha/1.0", "--json")
    assert scanned.json == {"items": [{"image": "alpha/1.0", "commands": sorted(PROGRAMS)}]}, scanned.err
    written = command("images", "modules", "--out", out, "--cache", "/srv/images", "--json")
    module = out / "modulefiles" / "alpha" / "1.0.lua"
    assert written.json == {"items": [{"module": "alpha/1.0", "file": str(module)}], "problems": []}
    description = (out / "tools" / "alpha" / "1.0" / "image").read_text().splitlines()
    assert {"cache /srv/images", f"source {url}"} <= set(description)
    dry = command("images", "scan", "alpha/1.0", "--dry-run")
    assert f"{len(PROGRAMS)} commands" in dry.out


@pytest.mark.usefixtures("serving")
def test_modules_need_a_target_that_is_configured(command: Command, tmp_path: Path) -> None:
    refused = command("images", "modules", "--out", tmp_path / "out", "--target", "nowhere")
    assert refused.status == 2
    assert "must be one of the configuration's" in refused.err


@pytest.mark.usefixtures("serving")
def test_a_job_gets_its_tools_from_the_command_line(command: Command, specification: Path) -> None:
    tool = ["--tool", "/srv/images/alpha.sif"]
    job = command("submit", specification, *tool, "--tool", "https://example.org/beta.sif", "--draft", "--json")
    assert [item["ref"] for item in job.json["spec"]["tools"]] == [
        "/srv/images/alpha.sif",
        "https://example.org/beta.sif",
    ], job.err
    unknown = command("submit", specification, "--tool", "fsl/6.0.3", "--draft")
    assert unknown.status == 5
    assert "fsl/6.0.3 is not in the catalogue of images" in unknown.err

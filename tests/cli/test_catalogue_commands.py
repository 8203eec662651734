"""``gateway images …``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.images.entry import PIECE
from testbed.mirror import Fault, Mirror
from tests.cli.conftest import CONFIG, Command

APPS = {
    "afni": {
        "apps": {"afni 21.2.00": {"version": "20210714", "exec": ""}, "broken": {}},
        "categories": ["functional imaging"],
    }
}
CONTENT = b"hsqs" + bytes(range(256)) * (PIECE // 256)


@pytest.fixture
def config(config: Path) -> Path:
    """A gateway that may reach mirrors of this machine."""
    data = json.dumps(str(config.parent / "data"))
    config.write_text(CONFIG.format(data=data).replace("[gateway]", '[gateway]\nallow_urls = ["127.0.0.1"]', 1))
    return config


@pytest.mark.usefixtures("serving")
def test_an_image_is_added_from_its_mirror_shown_pinned_and_listed(command: Command) -> None:
    with Mirror() as mirror:
        url = mirror.serve("/fsl.sqfs", CONTENT)
        added = command("images", "add", "fsl/6.0.3", url, "--category", "imaging", "--region", "eu", "--json")
    assert added.status == 0, added.err
    assert (added.json["size"], added.json["piece_count"]) == (len(CONTENT), 2)
    assert added.json["work"]["state"] == "done"
    shown = command("images", "show", "fsl/6.0.3")
    for words in (added.json["digest"], url, "imaging", "alive"):
        assert words in shown.out
    assert command("images", "pin", "fsl/6.0.3", "--json").json["pinned"]
    assert not command("images", "pin", "--off", added.json["digest"], "--json").json["pinned"]
    listed = command("images", "list", "FSL")
    assert "1 of 1 alive" in listed.out
    assert command("images", "list", "nothing", "--json").json == {"items": [], "next_cursor": None}


@pytest.mark.usefixtures("serving")
def test_a_file_here_is_measured_and_its_mirrors_are_proved_by_it(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "fsl image.sqfs"
    file.write_bytes(CONTENT)
    with Mirror() as mirror:
        good, bad = mirror.serve("/good", CONTENT), mirror.serve("/bad", CONTENT[:-1] + b"!")
        gone = mirror.serve("/gone", CONTENT, Fault(status=404))
        added = command("images", "add", "fsl/6.0.3", good, bad, gone, "--file", file, "--json")
        assert mirror.requests == []
        assert (added.status, added.json["work"]) == (0, None)
        checked = command("images", "check", "--json")
    (found,) = checked.json["items"]
    assert [item["state"] for item in found["mirrors"]] == ["alive", "wrong", "dead"]
    assert "are not the image's" in found["mirrors"][1]["problem"]
    other = tmp_path / "page.html"
    other.write_text("<html>" + " " * 100)
    refused = command("images", "add", "other/1", "https://example.org/x", "--file", other)
    assert refused.status == 2
    assert "a web page" in refused.err


@pytest.mark.usefixtures("serving")
def test_what_cannot_be_read_ends_with_the_cause_and_what_to_do(command: Command) -> None:
    with Mirror() as mirror:
        failed = command("images", "add", "fsl/6.0.3", mirror.serve("/x", CONTENT, Fault(status=404)))
    assert failed.status != 0
    assert "status 404" in failed.err
    assert "gateway images check --full fsl/6.0.3" in failed.err
    assert command("images", "show", "no/such").status == 3
    assert command("images", "add", "fsl/6.0.3").status == 5


@pytest.mark.usefixtures("serving")
def test_neurodesks_list_is_taken_over_and_what_is_broken_is_named(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "apps.json"
    file.write_text(json.dumps(APPS))
    arguments = ("images", "import", file, "--mirror", "eu=https://one.example/{file}")
    tried = command(*arguments, "--dry-run")
    assert "1 image would be added" in tried.out
    assert command("images", "list", "--json").json["items"] == []
    done = command(*arguments)
    assert "1 image added, 0 changed, 0 as they were, 1 problem" in done.out
    assert "afni: broken" in done.err
    (mirror,) = command("images", "show", "afni/21.2.00", "--json").json["mirrors"]
    assert (mirror["url"], mirror["region"]) == ("https://one.example/afni_21.2.00_20210714.simg", "eu")
    file.write_text("[")
    assert command(*arguments).status == 2


def test_a_clean_up_shows_first_and_removes_when_told_to(command: Command, serving: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "x.sqfs"
    file.write_bytes(CONTENT[:5000])
    assert command("images", "add", "fsl/6.0.3", "https://one.example/x", "--file", file).status == 0
    assert command("images", "retire", "fsl/6.0.3").status == 0
    shown = command("images", "gc", "--unused-days", "0")
    assert "fsl/6.0.3" in shown.out
    assert "gateway images gc --run" in shown.err
    assert command("images", "gc", "--unused-days", "0", "--run").status == 2
    assert command("images", "gc", "--unused-days", "0", "--run", "--yes").status == 0
    assert command("images", "show", "fsl/6.0.3").status == 3


def test_an_image_is_brought_to_a_target_and_room_is_made_there(
    command: Command, serving: Gateway, tmp_path: Path
) -> None:
    file = tmp_path / "x.sqfs"
    file.write_bytes(CONTENT[:5000])
    added = command("images", "add", "fsl/6.0.3", "https://one.example/x", "--file", file, "--json").json
    job = command("images", "prefetch", "fsl/6.0.3", "--target", "here", "--no-wait", "--json").json
    assert (job["target"], job["tags"]) == ("here", {"prefetch": "fsl/6.0.3"})
    assert command("images", "prefetch", "fsl/9", "--no-wait").status == 3
    cache = serving.data / "images"
    (cache / ".locks").mkdir(mode=0o700, parents=True)  # as the first pull made it
    (cache / f"{added['digest'].removeprefix('sha256:')}.sqfs").write_bytes(CONTENT[:5000])
    (cache / f"{'0' * 64}.sqfs").write_bytes(CONTENT[:5000])
    made = command("images", "gc", "--target", "here", "--limit", "0")
    assert made.status == 0, made.err
    assert [line.split()[-1] for line in made.out.splitlines() if "fsl/6.0.3" in line] == ["wanted"]
    assert not (cache / f"{'0' * 64}.sqfs").exists()
    assert command("images", "gc", "--target", "here").status == 5
    assert command("images", "gc", "--limit", "1G").status == 2

"""``gateway cases …``, with and without a running gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app import Gateway
from tests.cases.written import write_tank
from tests.cli.conftest import Command


@pytest.fixture
def published(config: Path, tmp_path: Path) -> Path:
    """A folder of cases that the configuration names."""
    folder = tmp_path / "published cases"
    folder.mkdir()
    config.write_text(config.read_text().replace("[targets.here]", f'cases = ["{folder}"]\n[targets.here]', 1))
    write_tank(folder)
    return folder


def test_a_new_case_is_good_and_published_by_the_configuration(command: Command, published: Path) -> None:
    made = command("cases", "new", "my-tank", "--in", published)
    assert made.status == 0, made.err
    assert made.out.strip() == str(published / "my-tank")
    assert "gateway cases check" in made.err
    assert "publish it" not in made.err
    checked = command("cases", "check", published / "my-tank")
    assert (checked.status, checked.err) == (0, "")
    assert "my-tank is good" in checked.out
    assert "my-tank" in [item["name"] for item in command("cases", "list", "--json").json["items"]]


def test_a_new_case_is_never_written_over_another_and_needs_a_name(command: Command, tmp_path: Path) -> None:
    assert command("cases", "new", "a", "--in", tmp_path, "--json").json["folder"] == str(tmp_path / "a")
    again = command("cases", "new", "a", "--in", tmp_path)
    assert (again.status, again.out) == (5, "")
    assert "is there already" in again.err
    for name in ("../x", "a b", ".x", ""):
        assert command("cases", "new", name, "--in", tmp_path).status == 2


def test_without_a_gateway_cases_are_read_from_their_folders(command: Command, published: Path) -> None:
    said = command("cases", "list")
    assert said.status == 0
    assert "Stirred tank" in said.out
    assert "Lid-driven cavity" in said.out
    shown = command("cases", "show", "tank")
    for word in (
        "Stirred tank (tank)",
        "speed",
        "0 … 2 by 0.1",
        "k, w, 3",
        "gateway submit --case tank --set speed=0.5",
    ):
        assert word in shown.out
    assert command("cases", "show", "tank", "--json").json["schema"]["properties"]["cells"]["minimum"] == 2
    missing = command("cases", "show", "nosuch")
    assert (missing.status, missing.out) == (3, "")


def test_with_a_gateway_its_own_cases_are_shown(serving: Gateway, command: Command) -> None:
    items = command("cases", "list", "--json").json["items"]
    assert "cavity" in [item["name"] for item in items]
    shown = command("cases", "show", "cavity", "--json").json
    assert command("cases", "show", "cavity", "--version", shown["version"]).status == 0
    assert command("cases", "show", "cavity", "--version", "sha256:" + "0" * 64).status == 3


def test_a_check_tells_file_and_line_of_each_mistake(command: Command, published: Path) -> None:
    folder = write_tank(published, {"settings": "\n{nosuch}\n", "run.sh": ""}, command=["tank", "{x}"])
    line = (folder / "case.yaml").read_text().splitlines().index("- '{x}'") + 1
    said = command("cases", "check", folder)
    assert said.status == 2
    assert [text.partition(": ")[0] for text in said.out.splitlines()] == [
        f"{folder}/case.yaml:{line}",
        f"{folder}/settings:2",
    ]
    (found,) = command("cases", "check", "tank", "--json").json["items"]
    assert [(item["file"], item["line"]) for item in found["errors"]] == [("case.yaml", line), ("settings", 2)]
    everything = command("cases", "check", "--json")
    assert everything.status == 2
    assert {item["name"] for item in everything.json["items"]} >= {"cavity", "tank"}
    assert command("cases", "check", "nosuch").status == 3


def test_hostile_text_of_a_case_cannot_steer_the_terminal(command: Command, published: Path) -> None:
    write_tank(published, label="Tank \u202eevil", description="\x1b[31mred\x9b2J")
    for words in (("list",), ("show", "tank"), ("check", "tank")):
        said = command("cases", *words)
        assert not {"\x1b", "\x9b", "\u202e"} & set(said.out + said.err)

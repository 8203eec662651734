"""The parts of the demo that need neither image nor gateway."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from gateway import templates
from gateway.cases.case import load_folder
from gateway.cases.compiling import compile_case, lay_over
from gateway.cases.values import complete
from gateway.cli.demo import places as places_module
from gateway.cli.demo import sites
from gateway.cli.demo.cases import CASES
from gateway.cli.demo.cavity import simulated, specification
from gateway.cli.demo.places import Places, checkout, default_places, fresh, remove
from gateway.cli.demo.screen import Screen
from gateway.cli.demo.served import served
from gateway.cli.demo.sites import configuration
from gateway.errors import GatewayError
from gateway.images.build import BuiltImage
from gateway.images.published import PublishedImage, PublishedImages
from gateway.model.specification import JobSpecification
from gateway.settings import load

IMAGE = BuiltImage(Path("x.sqfs"), "sha256:" + "0" * 64, 1)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / 'it\'s a "demo" $(ü)')


def test_the_specification_is_one_that_the_gateway_takes() -> None:
    made = JobSpecification.model_validate(specification("local", "http://127.0.0.1:1/cavity.sqfs", IMAGE))
    assert made.image is not None
    assert made.image.digest == IMAGE.digest


def test_the_configuration_can_be_read_whatever_the_folder_is_called(places: Places) -> None:
    places.folder.mkdir()
    section = {"poll_interval": 1, "transport": {"kind": "ssh", "port": 22, "host_key": ["ssh-ed25519 A"]}}
    places.config.write_text(configuration(places, "slurm", section))
    settings = load(places.config, {})
    assert settings.gateway.data_folder == places.data
    assert settings.default_target == "slurm"
    assert settings.targets["slurm"].transport["host_key"] == ["ssh-ed25519 A"]
    assert settings.default_store == "results"


def test_a_taken_port_is_not_chosen(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        usual = taken.getsockname()[1]
        monkeypatch.setattr(sites, "USUAL_PORT", usual)
        listen = tomllib.loads(configuration(places, "local", {}))["gateway"]["listen"]
    assert listen.startswith("127.0.0.1:")
    assert listen != f"127.0.0.1:{usual}"


@pytest.mark.parametrize(
    ("log", "time"),
    [
        (b"", None),
        (b"Starting time loop\n", None),
        (b"Time = 0.005\n\nCourant", 0.005),
        (b"Time = 0.1\nExecutionTime = 3 s\nTime = 0.15\nx", 0.15),
        (b"Time = 0.1\nTime = 0.2", 0.2),
        (b"EndTime = 3\n", None),
    ],
)
def test_the_solvers_time_is_read_from_its_log(log: bytes, time: float | None) -> None:
    assert simulated(log) == time


def test_a_new_demo_keeps_the_images_and_drops_the_data(places: Places) -> None:
    for folder in (places.images, places.data / "outputs"):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    with fresh(places):
        assert (places.images / "file").exists()
        assert not places.data.exists()


def test_two_demos_do_not_share_a_folder(places: Places) -> None:
    with fresh(places), pytest.raises(GatewayError, match="another demo runs"), fresh(places):
        pass
    with fresh(places):
        pass


def test_a_gateway_that_still_serves_the_last_demo_is_not_robbed_of_its_data(places: Places) -> None:
    places.data.mkdir(parents=True)
    content = {"url": "http://127.0.0.1:1", "pid": os.getpid(), "token_file": "x"}
    (places.data / "server.json").write_text(json.dumps(content))
    with pytest.raises(GatewayError, match="still serves"), fresh(places):
        pass
    assert places.data.exists()


def test_folders_that_cannot_be_written_are_removed_and_links_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "data/a/b", tmp_path / "outside"
    inside.mkdir(parents=True)
    outside.mkdir(mode=0o755)
    (outside / "kept").touch()
    (inside / "file").touch()
    (inside / "link").symlink_to(outside)
    inside.chmod(0o500)
    inside.parent.chmod(0o500)
    remove(tmp_path / "data")
    assert not (tmp_path / "data").exists()
    assert (outside / "kept").exists()


def test_a_checkout_keeps_the_demo_beside_it_and_an_installed_package_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = checkout()
    assert top is not None
    assert default_places().folder == top / ".demo"
    monkeypatch.setattr(places_module, "checkout", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_places().folder == tmp_path / "science-gateway/demo"


def test_without_a_terminal_a_bar_is_a_few_lines() -> None:
    shown = io.StringIO()
    with Screen(Console(file=shown, width=200)) as screen:
        for done in range(101):
            screen.bar("pull", f"{done} of 100", done, 100)
    lines = [line.split(" s  ", 1)[1] for line in shown.getvalue().splitlines()]
    assert [line.split(",")[0].split()[-1] for line in lines] == ["0%", "25%", "50%", "75%", "100%"]


def test_on_a_terminal_lines_come_above_the_bar_and_the_bar_goes() -> None:
    shown = io.StringIO()
    with Screen(Console(file=shown, width=100, force_terminal=True)) as screen:
        screen.bar("pull", "1 of 2", 1, 2)
        screen.say("state", "running\x1b[2J")
        screen.bar("solver", "Time = 1", 0, 0)
    assert "running\n" in shown.getvalue()
    assert "\x1b[2J" not in shown.getvalue()


def test_a_gateway_that_cannot_start_says_why_and_leaves_no_process(places: Places) -> None:
    places.folder.mkdir()
    places.config.write_text('[gateway]\nlisten = "nonsense"\n')
    with pytest.raises(GatewayError, match=r"did not start: .*listen"), served(places):
        pass


def test_the_gateway_ends_with_the_demo_even_when_that_is_killed(places: Places) -> None:
    places.folder.mkdir()
    places.config.write_text(configuration(places, "local", {"poll_interval": 1}))
    program = (
        "import sys, time, pathlib\n"
        "from gateway.cli.demo.places import Places\n"
        "from gateway.cli.demo.served import served\n"
        "with served(Places(pathlib.Path(sys.argv[1]))):\n"
        "    print('up', flush=True)\n"
        "    time.sleep(60)\n"
    )
    argv = [sys.executable, "-c", program, str(places.folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        assert demo.stdout.readline() == "up\n"
        pid = json.loads((places.data / "server.json").read_text())["pid"]
        watch = os.pidfd_open(pid)
        demo.send_signal(signal.SIGKILL)
    try:
        # It takes its announcement away in good order, then ends.
        assert select.select([watch], [], [], 20)[0]
    finally:
        os.close(watch)
    assert not (places.data / "server.json").exists()


@pytest.mark.parametrize("word", list(CASES))
def test_the_demos_values_are_ones_that_the_shipped_case_takes(word: str) -> None:
    request = CASES[word].request("local")
    case = load_folder(templates.folder() / "cases" / request["case"])
    found = complete(case.definition, request["values"])
    image = {"ref": f"built:{case.name}", "digest": IMAGE.digest}
    JobSpecification.model_validate(lay_over(compile_case(case, found, image), request))


def test_images_of_cases_outlive_a_demo(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    async def build(self: PublishedImages, recipe: Path, on_progress: Callable[[str], None]) -> PublishedImage:
        on_progress("packing the image")
        (places.built_images / "image.sqfs").write_bytes(b"x")
        return PublishedImage(recipe.parents[1].name, IMAGE.digest, 1, places.built_images / "image.sqfs")

    monkeypatch.setattr(PublishedImages, "build", build)
    shown = io.StringIO()
    with fresh(places), Screen(Console(file=shown, width=200)) as screen:
        assert CASES["openfoam"].build(places, screen).name == "openfoam-cavity"
        assert (places.data / "built-images/image.sqfs").exists()
    with fresh(places):
        assert not places.data.exists()
        assert (places.built_images / "image.sqfs").exists()
    assert "packing the image" in shown.getvalue()

"""What people install: an sdist, a wheel made of it without node, and what Jupyter then finds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUNDLE = "jupyter_extension/science_gateway_jupyter/labextension"
NAME = "science-gateway-jupyterlab"


def run(*command: str | Path, folder: Path, path: Path) -> str:
    """Run a program that sees no node, and return what it says."""
    environ = {**os.environ, "PATH": f"{path}:/usr/bin:/bin", "PYTHONPATH": ""}
    for name in [name for name in environ if name.startswith("JUPYTER")]:
        del environ[name]
    ended = subprocess.run(
        [*map(str, command)], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=240
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def without_node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of failing programs in the place of node's."""
    folder = tmp_path_factory.mktemp("no-node")
    for name in ("node", "npm", "npx", "jlpm", "yarn", "corepack"):
        program = folder / name
        program.write_text("#!/bin/sh\necho 'node was asked for' >&2\nexit 99\n")
        program.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory, without_node: Path) -> Path:
    """The source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, folder=ROOT, path=without_node)
    (found,) = folder.iterdir()
    return found


def test_the_sources_hold_the_bundle_and_what_it_is_made_of_but_nothing_that_was_downloaded(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    extension = "jupyter_extension"
    wanted = {"install.json", "science_gateway_jupyter/app.py", "science_gateway_jupyter/labextension/package.json"}
    wanted |= {"ui/package.json", "ui/package-lock.json", "ui/src/index.ts"}
    assert {f"{extension}/{name}" for name in wanted} <= names
    assert not [name for name in names if "/node_modules/" in name or name.startswith(f"{extension}/ui/lib/")]


def test_a_wheel_made_without_node_brings_an_enabled_extension_and_the_panel(
    sdist: Path, without_node: Path, tmp_path: Path
) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist")
    run(*build, folder=source, path=without_node)
    (wheel,) = (tmp_path / "dist").iterdir()
    venv.create(tmp_path / "venv", symlinks=True, with_pip=False)
    python = tmp_path / "venv/bin/python"
    (packages,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    # Everything else comes from the environment of the tests, behind the new package.
    (packages / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n")
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", wheel)
    run(sys.executable, "-m", "pip", "--python", python, *install[2:], folder=tmp_path, path=without_node)

    where = "import science_gateway_jupyter, gateway; print(science_gateway_jupyter.__file__, gateway.__file__)"
    for file in run(python, "-c", where, folder=tmp_path, path=without_node).split():
        assert Path(file).is_relative_to(packages)
    listed = run(python, "-m", "jupyter_server.extension.serverextension", "list", folder=tmp_path, path=without_node)
    assert "science_gateway_jupyter \x1b[32menabled\x1b[0m" in listed
    assert "science_gateway_jupyter  \x1b[32mOK\x1b[0m" in listed
    panels = run(python, "-m", "jupyterlab.labextensions", "list", folder=tmp_path, path=without_node)
    (line,) = (line for line in panels.splitlines() if NAME in line)
    assert "enabled" in line
    assert "OK" in line
    installed = tmp_path / "venv/share/jupyter/labextensions" / NAME
    bundle = source / BUNDLE
    files = {str(file.relative_to(bundle)) for file in bundle.rglob("*") if file.is_file()}
    assert files | {"install.json"} == {str(f.relative_to(installed)) for f in installed.rglob("*") if f.is_file()}
    load = json.loads((installed / "package.json").read_text())["jupyterlab"]["_build"]["load"]
    assert (installed / load).is_file()

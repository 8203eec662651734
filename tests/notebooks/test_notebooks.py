"""The shipped notebooks, executed as a person would: cell by cell, in a kernel, against real gateways."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from running import RunningGateway
from sections import local_target

from testbed.images import TestImage
from testbed.lab import Lab

pytestmark = pytest.mark.real

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
CARD = "application/vnd.science-gateway.job+json"


def execute(name: str, environ: Mapping[str, str], folder: Path) -> list[Any]:
    """Run a notebook to its end and return its code cells; a cell that fails fails the test."""
    notebook = nbformat.read(FOLDER / name, as_version=4)
    client = NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline", **environ})
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: Any) -> str:
    """Return what a cell has printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def result(cell: Any) -> Mapping[str, Any]:
    """Return what a cell has answered, by media type."""
    (found,) = (output.data for output in cell.outputs if output.output_type == "execute_result")
    return dict(found)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, dict[str, str]]]:
    """JupyterLab with nothing configured, and what a kernel of its own would inherit."""
    folder = tmp_path_factory.mktemp("lab")
    with Lab(folder) as lab:
        found = lab.gateway()
        yield lab, {"HOME": str(folder), "GATEWAY_URL": found["url"], "GATEWAY_TOKEN_FILE": found["token_file"]}


def test_the_quickstart_launches_the_cavity_and_reads_its_results(
    embedded: tuple[Lab, dict[str, str]], tmp_path: Path
) -> None:
    cells = execute("quickstart.ipynb", embedded[1], tmp_path)
    cases, image, card, plot, ended, tree, table = cells
    assert "cavity" in result(cases)["text/plain"]
    assert result(image)["text/plain"] == "'built'"
    assert result(card)[CARD]["name"] == "quickstart"
    assert int(result(plot)["text/plain"]) == 100
    assert printed(ended).startswith("succeeded with exit code 0 and ")
    assert printed(ended).rstrip().endswith("complete")
    assert "residuals.csv" in printed(tree)
    assert "continuity" in result(table)["text/html"]


def test_the_sweep_ends_in_one_plot_of_all_its_jobs(embedded: tuple[Lab, dict[str, str]], tmp_path: Path) -> None:
    cells = execute("sweep.ipynb", embedded[1], tmp_path)
    assert result(cells[0])["text/plain"] == "3"
    assert printed(cells[1]).startswith("succeeded ")
    (picture,) = (output for output in cells[3].outputs if output.output_type == "display_data")
    assert "image/png" in picture.data


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A group's gateway, which lets scripts run on its own machine."""
    folder = tmp_path_factory.mktemp("shared")
    target = local_target(runtime={"kind": "charliecloud", "allow_host": True})
    store = {"kind": "directory", "path": str(folder / "results")}
    gateway = RunningGateway(folder, {"targets": {"here": target}, "stores": {"disk": store}})
    try:
        yield gateway.start()
    finally:
        gateway.stop()


def person(gateway: RunningGateway, name: str, folder: Path) -> dict[str, str]:
    """Let a person use the gateway; return what their kernel is started with."""
    assert gateway.http.post("/api/v1/users", json={"name": name, "role": "user"}).status_code == 201
    answer = gateway.http.post("/api/v1/tokens", json={"person": name, "label": "notebook"})
    assert answer.status_code == 201, answer.text
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(answer.json()["secret"])
    return {"GATEWAY_URL": str(gateway.http.base_url).rstrip("/"), "GATEWAY_TOKEN_FILE": str(token)}


def test_ones_own_container_runs_and_runs_again(shared: RunningGateway, tmp_path: Path, test_image: TestImage) -> None:
    environ = person(shared, "ada", tmp_path)
    image = {"IMAGE": f"file://{test_image.squashfs}", "IMAGE_DIGEST": test_image.squashfs_digest}
    cells = execute("own-container.ipynb", {**environ, **image}, tmp_path)
    assert printed(cells[1]).startswith("succeeded\ndone by ")
    assert "75" in result(cells[2])["text/plain"]
    assert "#/env/FACTOR 3 -> 5" in printed(cells[3])
    assert result(cells[3])["text/plain"] == "<State.SUCCEEDED: 'succeeded'>"


def test_a_shared_gateway_shows_a_person_their_own_jobs(shared: RunningGateway, tmp_path: Path) -> None:
    environ = person(shared, "grace", tmp_path)
    cells = execute("shared-gateway.ipynb", environ, tmp_path)
    assert printed(cells[1]) == "True succeeded\n"
    assert result(cells[2])["text/plain"] == "True"


def test_the_notebooks_are_kept_without_what_they_printed() -> None:
    for file in FOLDER.glob("*.ipynb"):
        cells = json.loads(file.read_text())["cells"]
        assert [cell["outputs"] for cell in cells if cell["cell_type"] == "code" and cell["outputs"]] == [], file.name

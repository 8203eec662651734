"""The solver of the cavity case: its physics, its files, and its manners as a command."""

from __future__ import annotations

import csv
import importlib.util
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SOLVER = Path(__file__).parents[2] / "job_templates/cases/cavity/solver"
COMMAND = [sys.executable, "-B", str(SOLVER / "cavity.py")]


@pytest.fixture(scope="module")
def flow() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cavity_flow", SOLVER / "flow.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cavity_flow"] = module
    spec.loader.exec_module(module)
    return module


def solve(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--out", str(out), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the numbers of OpenFOAM's tutorial."""
    out = tmp_path_factory.mktemp("tutorial")
    done = solve(out, "--reynolds", "10")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (out / "log.cavity").read_text()
    return out


def test_the_steady_flow_is_that_of_ghia_ghia_and_shin(flow: ModuleType) -> None:
    """Re = 100: U. Ghia, K. N. Ghia, C. T. Shin, J. Comput. Phys. 48 (1982) 387-411, tables I and II."""
    n = 64
    cavity = flow.Cavity(n, 100.0, flow.LENGTH / n)
    for _ in range(1000):
        before = cavity.u.copy()
        cavity.step()
    assert np.abs(cavity.u - before).max() < 1e-5, "not steady yet"

    places = np.concatenate(([0.0], (np.arange(n) + 0.5) / n, [1.0]))
    u = np.concatenate(([0.0], cavity.u[n // 2], [1.0]))
    v = np.concatenate(([0.0], cavity.v[:, n // 2], [0.0]))
    published_u = {0.9766: 0.84123, 0.8516: 0.23151, 0.6172: -0.13641, 0.5: -0.20581, 0.4531: -0.21090,
                   0.2813: -0.15662, 0.1719: -0.10150, 0.0547: -0.03717}  # fmt: skip
    published_v = {0.8047: -0.24533, 0.5: 0.05454, 0.2344: 0.17527}
    for values, published in ((u, published_u), (v, published_v)):
        ours = np.interp(list(published), places, values)
        np.testing.assert_allclose(ours, list(published.values()), rtol=0.03, atol=0.003)


def test_the_tutorials_courant_numbers_are_those_of_openfoam(tutorial: Path) -> None:
    """icoFoam's own log of the tutorial ends with a mean of 0.222158 and a maximum of 0.852134."""
    lines = re.findall(r"Courant Number mean: (\S+) max: (\S+)", (tutorial / "log.cavity").read_text())

    np.testing.assert_allclose([float(number) for number in lines[-1]], [0.222158, 0.852134], rtol=0.01)


def test_slow_flow_is_symmetric(flow: ModuleType) -> None:
    cavity = flow.Cavity(16, 0.1, flow.LENGTH / 16)
    for _ in range(200):
        cavity.step()

    np.testing.assert_allclose(cavity.u, cavity.u[::-1], atol=1e-3)
    np.testing.assert_allclose(cavity.v, -cavity.v[::-1], atol=1e-3)


@pytest.mark.parametrize("reynolds", [0.1, 10.0, 1000.0, 10000.0])
def test_every_step_keeps_mass_and_stays_stable_at_the_greatest_time_step(flow: ModuleType, reynolds: float) -> None:
    cavity = flow.Cavity(12, reynolds, flow.LENGTH / 12)
    for _ in range(400):
        report = cavity.step()
        assert report.continuity[0] < 1e-14
        assert report.courant[1] < 1.5


def test_a_run_leaves_the_files_of_the_tutorial(tutorial: Path) -> None:
    found = {str(path.relative_to(tutorial)) for path in tutorial.rglob("*") if path.is_file()}
    steps = range(0, 101, 20)

    assert found == {
        *(f"{time}/{name}" for time in ("0", "0.1", "0.2", "0.3", "0.4", "0.5") for name in ("U", "p")),
        *(f"VTK/cavity_{step}.vtk" for step in steps),
        *(f"VTK/{wall}/{wall}_{step}.vtk" for wall in ("movingWall", "fixedWalls") for step in steps),
        "constant/transportProperties",
        "system/controlDict",
        "system/blockMeshDict",
        "postProcessing/residuals.csv",
        "log.cavity",
    }


def test_fields_are_written_in_openfoams_format(tutorial: Path) -> None:
    text = (tutorial / "0.5/U").read_text()
    match = re.search(r"internalField   nonuniform List<vector>\n(\d+)\n\(\n(.*?)\n\)\n;", text, re.DOTALL)
    assert match is not None
    vectors = np.array([line.strip("()").split() for line in match[2].splitlines()], dtype=float)

    assert 'location    "0.5";' in text
    assert vectors.shape == (int(match[1]), 3) == (400, 3)
    # x runs fastest, so the last twenty cells lie under the lid and follow it.
    assert vectors[-20:, 0].min() > 0 > vectors[180:200, 0].max()
    assert text.count("{") == text.count("}")
    assert all(wall in text for wall in ("movingWall", "fixedWalls", "frontAndBack"))


def test_vtk_files_hold_one_value_for_each_cell_and_agree_with_the_fields(tutorial: Path) -> None:
    lines = (tutorial / "VTK/cavity_100.vtk").read_text().splitlines()
    scalars, vectors = lines.index("LOOKUP_TABLE default"), lines.index("VECTORS U float")

    assert lines[0] == "# vtk DataFile Version 3.0"
    assert lines[3:5] == ["DATASET RECTILINEAR_GRID", "DIMENSIONS 21 21 2"]
    assert "CELL_DATA 400" in lines
    assert vectors - scalars - 1 == len(lines) - vectors - 1 == 400
    assert f"({lines[-1]})" in (tutorial / "0.5/U").read_text()


@pytest.mark.parametrize(("wall", "faces"), [("movingWall", 20), ("fixedWalls", 60)])
def test_vtk_files_of_walls_hold_one_rectangle_for_each_face(tutorial: Path, wall: str, faces: int) -> None:
    lines = (tutorial / f"VTK/{wall}/{wall}_100.vtk").read_text().splitlines()

    assert f"POINTS {4 * faces} float" in lines
    assert f"POLYGONS {faces} {5 * faces}" in lines
    assert lines.index(f"CELL_DATA {faces}") == lines.index(f"POLYGONS {faces} {5 * faces}") + faces + 1
    assert len(lines) - lines.index("VECTORS U float") - 1 == faces


def test_the_table_of_residuals_has_a_row_for_each_step(tutorial: Path) -> None:
    rows = list(csv.DictReader((tutorial / "postProcessing/residuals.csv").open()))

    assert list(rows[0]) == ["time", "Ux", "Uy", "p", "continuity"]
    assert [float(row["time"]) for row in rows] == pytest.approx([0.005 * step for step in range(1, 101)])
    assert all(float(rows[-1][name]) < 1e-3 * float(rows[1][name]) for name in ("Ux", "Uy", "p"))


def test_a_second_run_in_the_same_folder_replaces_the_first(tutorial: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert solve(tmp_path, "--reynolds", "10", "--end-time", "0.1").returncode == 0

    assert (tmp_path / "log.cavity").read_text().count("Time = 0.1\n") == 1
    assert (tmp_path / "0.1/U").read_bytes() == (tutorial / "0.1/U").read_bytes()


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    command = [*COMMAND, "--out", str(tmp_path), "--cells=64", "--delta-t=0.0015", "--write-interval=1",
               "--end-time=0.06"]  # fmt: skip
    seen: dict[Path, bytes] = {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            for path in tmp_path.rglob("[!.]*"):
                if path not in seen and path.is_file() and path.name not in {"log.cavity", "residuals.csv"}:
                    seen[path] = path.read_bytes()

    assert running.returncode == 0
    assert len(seen) > 10
    assert [path for path, content in seen.items() if path.read_bytes() != content] == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_writes_its_fields(tmp_path: Path, number: signal.Signals, status: int) -> None:
    command = [*COMMAND, "--out", str(tmp_path), "--pace", "3600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("Time = "):
                break
        running.send_signal(number)
        rest = running.stdout.read()

    assert running.returncode == status
    assert f"Stopped by signal {number.value}" in rest
    assert {path.name for path in (tmp_path / "0.005").iterdir()} == {"U", "p"}
    assert (tmp_path / "VTK/cavity_1.vtk").is_file()
    assert list(tmp_path.rglob("*.part")) == []


def test_the_log_grows_while_the_solver_runs(tmp_path: Path) -> None:
    command = [*COMMAND, "--out", str(tmp_path), "--pace", "3600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        said = ""
        while "ClockTime" not in said:
            said += running.stdout.readline()
        deadline = time.monotonic() + 10
        while (tmp_path / "postProcessing/residuals.csv").read_text().count("\n") < 2:
            assert time.monotonic() < deadline
        assert (tmp_path / "log.cavity").read_text().startswith(said)
        running.terminate()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--reynolds", "nan"], "--reynolds must lie between 0.1 and 10000"),
        (["--reynolds=-5"], "--reynolds must lie between"),
        (["--cells", "2"], "--cells must lie between 4 and 512"),
        (["--cells", "2.5"], "--cells: invalid int value"),
        (["--cells", "64"], "choose --delta-t 0.00156 or less"),
        (["--end-time", "inf"], "--end-time must lie between"),
        (["--end-time", "0.001"], "is longer than --end-time"),
        (["--write-interval", "0"], "--write-interval must lie between"),
        (["--pace=-1"], "--pace must lie between"),
        (["--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_bad_parameters_are_refused_in_one_sentence(tmp_path: Path, options: list[str], reason: str) -> None:
    done = solve(tmp_path, *options)

    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = solve(tmp_path / "file")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(tmp_path / "file") in done.stderr


def test_the_suggested_time_step_is_accepted(tmp_path: Path) -> None:
    refused = solve(tmp_path, "--cells", "48")
    suggested = re.search(r"--delta-t (\S+) or less", refused.stderr)
    assert suggested is not None

    done = solve(tmp_path, "--cells", "48", "--delta-t", suggested[1], "--end-time", "0.01")

    assert done.returncode == 0

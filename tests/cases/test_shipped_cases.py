"""The cases that come with the gateway: good as they stand, and what their images run is what they ask for."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from gateway import templates
from gateway.cases.case import load_folder, thumbnail_of
from gateway.cases.check import check_folder
from gateway.cases.compiling import compile_case
from gateway.cases.values import complete
from gateway.images.recipe import case_folder, load_recipe, read_added_files
from gateway.jobs.series_parser import parser_for
from gateway.model.specification import JobSpecification

CASES = templates.folder() / "cases"
NAMES = ("cavity", "openfoam-cavity", "stirred-tank")
IMAGE = {"ref": "built:x", "digest": "sha256:" + "0" * 64}
SOLVER_INFO = b"""# Solver information
# Time\tU_solver      \tUx_initial    \tUx_final      \tUx_iters      \tUy_initial    \tp_solver      \tp_initial
0.005         \tsmoothSolver\t1.000000e+00\t8.905110e-06\t19\t0.000000e+00\tDICPCG\t1.000000e+00
0.01          \tsmoothSolver\t1.606860e-01\t6.830310e-06\t19\t2.608280e-01\tDICPCG\t4.289250e-01
"""


def specification(name: str, **values: Any) -> JobSpecification:
    case = load_folder(CASES / name)
    return JobSpecification.model_validate(compile_case(case, complete(case.definition, values), IMAGE))


def inputs(name: str, **values: Any) -> dict[str, str]:
    return {item.path: item.content or "" for item in specification(name, **values).inputs}


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_case_has_no_mistake_and_a_small_drawing(name: str) -> None:
    assert [str(mistake) for mistake in check_folder(CASES / name, lambda _: []).mistakes] == []
    case = load_folder(CASES / name)
    drawing = thumbnail_of(case)
    assert drawing is not None
    assert len(drawing[1]) < 4096
    assert ET.fromstring(drawing[1]).attrib["aria-label"]
    assert case.definition.progress is not None
    assert case.definition.data
    assert case.definition.description


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_of_a_shipped_case_takes_files_that_are_there(name: str) -> None:
    recipe = CASES / name / "image/recipe.yaml"
    plan = load_recipe(recipe)
    assert plan.name == name
    added = read_added_files(plan, case_folder(recipe))
    assert set(plan.links.values()) <= set(added)
    assert all(added[place][1] == 0o755 for place in plan.links.values())


@pytest.mark.parametrize(
    ("name", "program", "values"),
    [
        ("cavity", "cavity.py", {"end_time": 0.01}),
        ("stirred-tank", "stirred_tank.py", {"end_time": 0.2}),
        ("stirred-tank", "stirred_tank.py", {"end_time": 0.2, "cooling": "flowing", "coolant_flow": 20, "tanks": 3}),
    ],
)
def test_a_solver_takes_the_cases_command_and_leaves_what_the_case_promises(
    name: str, program: str, values: dict[str, Any], tmp_path: Path
) -> None:
    made = specification(name, **values)
    assert made.command is not None
    command = [sys.executable, "-B", str(CASES / name / "solver" / program), *made.command[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert made.progress is not None
    assert made.progress.file is not None
    assert made.progress.pattern is not None
    found = re.findall(made.progress.pattern, (tmp_path / made.progress.file).read_text(), re.MULTILINE)
    assert float(found[-1]) == pytest.approx(made.progress.max)
    for series in made.data:
        rows, _ = parser_for(series).feed((tmp_path / series.file).read_bytes(), last=True)
        assert len(rows) >= 2
        assert all(isinstance(cell, float | int) for row in rows for cell in row)
        assert len(rows[0]) == len(series.columns)


def test_a_tank_goes_on_from_the_state_that_a_person_gives() -> None:
    made = specification("stirred-tank", start={"content": "{}"})
    assert made.command is not None
    assert "--start=start.json" in made.command
    assert [item.path for item in made.inputs] == ["start.json"]


def test_the_dictionaries_of_openfoam_hold_the_values() -> None:
    files = inputs("openfoam-cavity", lid_speed=2.5, viscosity=1e-6, cells=30, end_time=0.25, delta_t=0.001)
    assert "value           uniform (2.5 0 0);" in files["0/U"]
    assert "[0 2 -1 0 0 0 0] 1e-06;" in files["constant/transportProperties"]
    assert "(30 30 1) simpleGrading (1 1 1)" in files["system/blockMeshDict"]
    assert re.search(r"^endTime +0\.25;$", files["system/controlDict"], re.MULTILINE)
    assert re.search(r"^deltaT +0\.001;$", files["system/controlDict"], re.MULTILINE)


def test_cells_grow_from_the_walls_only_where_that_was_chosen() -> None:
    assert "0.5 0.5" not in inputs("openfoam-cavity")["system/blockMeshDict"]
    refined = inputs("openfoam-cavity", spacing="walls", expansion=4)["system/blockMeshDict"]
    assert refined.count("((0.5 0.5 4") == 2
    assert refined.count("(0.5 0.5 0.25))") == 2


@pytest.mark.parametrize("values", [{}, {"spacing": "walls", "pressure_solver": "GAMG", "time_scheme": "backward"}])
def test_the_dictionaries_of_openfoam_have_no_open_bracket_and_no_mark_of_a_template(values: dict[str, Any]) -> None:
    for path, text in inputs("openfoam-cavity", **values).items():
        if path == "run.sh":
            continue
        assert text.count("{") == text.count("}"), path
        assert text.count("(") == text.count(")"), path
        assert "${" not in text
        assert not re.search(r"^\s*%", text, re.MULTILINE)


def test_the_residuals_of_openfoam_are_read_by_the_names_in_their_head() -> None:
    (series,) = specification("openfoam-cavity").data
    rows, used = parser_for(series).feed(SOLVER_INFO)
    assert rows == [[0.005, 1.0, 0.0, 1.0], [0.01, 0.160686, 0.260828, 0.428925]]
    assert used == len(SOLVER_INFO)


class Programs:
    """The case's run.sh in a folder, with stand-ins for OpenFOAM's programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "run.sh").write_text(inputs("openfoam-cavity")["run.sh"])
        for name in ("blockMesh", "icoFoam", "foamToVTK"):
            self.does(name, f"echo {name} >>order; echo said")

    def does(self, name: str, body: str) -> None:
        program = self.folder / "bin" / name
        program.write_text(f"#!/bin/bash\n{body}\n")
        program.chmod(0o755)

    def start(self) -> subprocess.Popen[str]:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return subprocess.Popen(
            ["bash", "run.sh"],
            cwd=self.folder,
            env={"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def order(self) -> list[str]:
        return (self.folder / "order").read_text().split()


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


def test_openfoams_programs_run_in_order_each_with_its_log(programs: Programs) -> None:
    running = programs.start()
    said, complaints = running.communicate(timeout=60)
    assert (running.returncode, complaints) == (0, "")
    assert programs.order() == ["blockMesh", "icoFoam", "foamToVTK"]
    assert [line.split()[1] for line in said.splitlines()] == programs.order()
    assert {path.name for path in programs.folder.glob("log.*")} == {f"log.{name}" for name in programs.order()}


def test_a_bad_mesh_ends_it_and_a_failed_solver_still_has_its_results_converted(programs: Programs) -> None:
    programs.does("icoFoam", "echo icoFoam >>order; echo diverged; exit 3")
    running = programs.start()
    _, complaints = running.communicate(timeout=60)
    assert running.returncode == 3
    assert "icoFoam ended with status 3; the end of log.icoFoam:\ndiverged" in complaints
    assert programs.order() == ["blockMesh", "icoFoam", "foamToVTK"]

    (programs.folder / "order").unlink()
    programs.does("blockMesh", "echo blockMesh >>order; exit 1")
    running = programs.start()
    running.communicate(timeout=60)
    assert running.returncode == 1
    assert programs.order() == ["blockMesh"]


def test_a_signal_reaches_the_solver_and_what_was_written_is_converted(programs: Programs) -> None:
    programs.does("blockMesh", "mkfifo up; echo blockMesh >>order")
    programs.does("icoFoam", "trap 'echo stopped >>order; exit 143' TERM; echo >up; while :; do sleep 0.05; done")
    running = programs.start()
    while not (programs.folder / "up").exists():
        assert running.poll() is None
    with (programs.folder / "up").open() as up:
        up.read()
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert running.returncode == 143
    assert programs.order() == ["blockMesh", "stopped", "foamToVTK"]

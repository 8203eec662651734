"""The solver of the stirred-tank case: its physics against exact solutions, its files, and its manners as a command."""

from __future__ import annotations

import csv
import importlib.util
import json
import signal
import subprocess
import sys
from math import exp, factorial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SOLVER = Path(__file__).parents[2] / "job_templates/cases/stirred-tank/solver"
COMMAND = [sys.executable, "-B", str(SOLVER / "stirred_tank.py")]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"stirred_tank_{name}", SOLVER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tank() -> ModuleType:
    return load("tank")


@pytest.fixture(scope="module")
def steps() -> ModuleType:
    return load("steps")


def solve(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, "--out", str(out), *options], capture_output=True, text=True, check=False)


def table(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_the_published_operating_point_is_a_steady_state(tank: ModuleType) -> None:
    """k(350 K) is 1/min, so half of A is burnt, and the jacket takes exactly the heat of that."""
    tanks = tank.Tanks()
    rate = tanks.rate(tanks.start(0.5, 350.0, 0.0))

    np.testing.assert_allclose(rate[0], 0.0, atol=1e-3)
    np.testing.assert_allclose(rate[1], 0.0, atol=0.05)


def test_in_a_steady_state_the_heat_of_the_reaction_is_all_accounted_for(tank: ModuleType, steps: ModuleType) -> None:
    tanks = tank.Tanks(count=3, feed_temperature=320.0, coolant_temperature=290.0, coolant_flow=40.0)
    state = steps.Stepper(tanks.rate).advance(tanks.start(0.9, 320.0, 0.0), 20.0)

    np.testing.assert_allclose(tanks.rate(state), 0.0, atol=1e-4)
    made, taken, carried = tanks.heats(state)
    assert made == pytest.approx(taken + carried, rel=1e-6)
    burnt = tanks.flow * (tanks.feed_concentration - state[0, -1])
    assert made == pytest.approx(tank.HEAT * burnt / 6e4, rel=1e-6)
    warmed = 40.0 * tank.JACKET_CAPACITY * (state[2].mean() - 290.0) / 6e4
    assert taken == pytest.approx(warmed, rel=1e-6)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_tracer_leaves_as_the_theory_of_tanks_in_a_row_has_it(
    tank: ModuleType, steps: ModuleType, count: int
) -> None:
    """The outlet of n tanks after a pulse: (n/tau)^n t^(n-1) exp(-n t/tau) / (n-1)!, times the amount over the flow."""
    tanks = tank.Tanks(count=count, volume=80.0, flow=20.0)
    stepper, state = steps.Stepper(tanks.rate), tanks.start(0.5, 350.0, 3.0)
    for minutes in (0.5, 1.0, 1.5, 2.0, 2.5):
        state = stepper.advance(state, 0.5)
        n_over_tau = count / tanks.residence
        exact = n_over_tau**count * minutes ** (count - 1) * exp(-n_over_tau * minutes) / factorial(count - 1)
        assert state[3, -1] == pytest.approx(exact * 3.0 / 20.0, rel=1e-5)


def test_tracer_is_neither_made_nor_lost(tank: ModuleType, steps: ModuleType) -> None:
    tanks, washed_out = tank.Tanks(count=4), 0.0
    stepper, state = steps.Stepper(tanks.rate), tanks.start(0.5, 350.0, 2.0)
    for _ in range(200):
        before = state[3, -1]
        state = stepper.advance(state, 0.01)
        washed_out += tanks.flow * 0.01 * (before + state[3, -1]) / 2
    assert washed_out + state[3].sum() * tanks.volume / 4 == pytest.approx(2.0, rel=1e-4)


def test_cooled_less_the_tank_runs_hot_and_cooled_more_it_dies_down(tank: ModuleType, steps: ModuleType) -> None:
    def late(coolant: float) -> list[float]:
        tanks = tank.Tanks(coolant_temperature=coolant)
        stepper, state = steps.Stepper(tanks.rate), tanks.start(0.5, 350.0, 0.0)
        state = stepper.advance(state, 10.0)
        found = []
        for _ in range(100):
            state = stepper.advance(state, 0.1)
            found.append(float(state[1, 0]))
        return found

    assert max(late(290.0)) < 330.0
    hot = late(305.0)
    assert max(hot) - min(hot) > 20.0, "it does not oscillate"


def test_a_step_of_half_the_tolerance_gives_the_same_answer(steps: ModuleType) -> None:
    """A stiff line with an exact solution: y' = -50 y."""
    stepper = steps.Stepper(lambda state: -50.0 * state, 1e-9, 1e-14)
    assert stepper.advance(np.array([1.0]), 1.0)[0] == pytest.approx(exp(-50.0), rel=1e-5)
    assert stepper.taken > 20


def test_what_cannot_be_integrated_ends_with_a_sentence(steps: ModuleType) -> None:
    with pytest.raises(steps.Stuck, match="no time step is small enough"):
        steps.Stepper(lambda state: state * np.nan).advance(np.array([1.0]), 1.0)


def test_a_run_leaves_three_tables_a_log_and_a_state(tmp_path: Path) -> None:
    done = solve(tmp_path, "--tanks=2", "--end-time=2", "--interval=0.5", "--tracer=1")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (tmp_path / "log.stirred-tank").read_text()
    assert [line for line in done.stdout.splitlines() if line.startswith("Time = ")] == [
        "Time = 0.5", "Time = 1", "Time = 1.5", "Time = 2"
    ]  # fmt: skip
    rows = table(tmp_path / "reactor.csv")
    assert [row["time"] for row in rows] == [0, 0.5, 1, 1.5, 2]
    assert list(rows[0]) == ["time", "concentration", "temperature", "jacket", "conversion"]
    assert rows[0]["conversion"] == 0.5
    assert list(table(tmp_path / "heat.csv")[0]) == ["time", "reaction", "jacket", "flow"]
    tracer = [json.loads(line) for line in (tmp_path / "tracer.jsonl").read_text().splitlines()]
    assert tracer[0] == {"time": 0.0, "outlet": 0.0, "inside": 1.0}
    state = json.loads((tmp_path / "state.json").read_text())
    assert (state["time"], len(state["temperature"])) == (2.0, 2)


def test_a_run_in_two_parts_ends_where_one_in_one_part_does(tmp_path: Path) -> None:
    whole, first, second = (tmp_path / name for name in ("whole", "first", "second"))
    assert solve(whole, "--end-time=2", "--coolant-temperature=305").returncode == 0
    assert solve(first, "--end-time=1", "--coolant-temperature=305").returncode == 0
    start = f"--start={first / 'state.json'}"
    assert solve(second, start, "--end-time=1", "--coolant-temperature=305").returncode == 0

    one, other = (json.loads((folder / "state.json").read_text()) for folder in (whole, second))
    assert one["time"] == other["time"] == 2.0
    assert other["temperature"] == pytest.approx(one["temperature"], rel=1e-5)
    assert table(second / "reactor.csv")[0]["time"] == 1.0


@pytest.mark.parametrize(("how", "status"), [("STOP", 0), ("signal", 143)])
def test_it_stops_early_and_leaves_a_state(tmp_path: Path, how: str, status: int) -> None:
    running = subprocess.Popen(
        [*COMMAND, "--out", str(tmp_path), "--pace=0.2", "--end-time=1000"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        while not running.stdout.readline().startswith("Time ="):
            pass
        if how == "STOP":
            (tmp_path / "STOP").touch()
        else:
            running.send_signal(signal.SIGTERM)
        said = running.stdout.read()
        assert running.wait(60) == status
        running.stdout.close()
    finally:
        running.kill()
    assert "Stopped" in said.splitlines()[-1]
    assert json.loads((tmp_path / "state.json").read_text())["time"] < 1000


def test_a_stop_file_of_an_earlier_run_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / "STOP").touch()
    assert solve(tmp_path, "--end-time=1").stdout.splitlines()[-1] == "End"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tanks=0"], "--tanks must lie between 1 and 50, not 0."),
        (["--flow=nan"], "--flow must lie between"),
        (["--interval=2", "--end-time=1"], "--interval 2 is longer than --end-time 1."),
        (["--interval=0.001", "--end-time=10000"], "10000000 intervals are too many"),
        (["--volume=much"], "invalid float value"),
        (["--start=/nonexistent"], "is not a state of this solver"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(tmp_path: Path, options: list[str], said: str) -> None:
    done = solve(tmp_path, *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"time": 1}',
        '{"time": 0, "concentration": [1, 1], "temperature": [300, 300], "jacket": [300, 300], "tracer": [0, 0]}',
        '{"time": 0, "concentration": [NaN], "temperature": [300], "jacket": [300], "tracer": [0]}',
    ],
)
def test_a_state_that_is_none_or_another_ones_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "given.json").write_text(text)
    done = solve(tmp_path, f"--start={tmp_path / 'given.json'}")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1

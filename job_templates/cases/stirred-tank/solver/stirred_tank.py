#!/usr/bin/python3
"""Cooled stirred tanks in a row: what the flow, the reaction and the jackets make of concentration and temperature.

Writes `reactor.csv`, `heat.csv`, `tracer.jsonl` and `log.stirred-tank` as it goes, and at the end `state.json`, from
which another run can go on. A file `STOP` in the folder ends it after the present interval; so do TERM and INT.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

import numpy as np
from steps import Stepper, Stuck
from tank import Array, Tanks

STATE_ROWS = ("concentration", "temperature", "jacket", "tracer")


class Refused(Exception):
    """A parameter or a file cannot be used; the message is one sentence."""


@dataclass(frozen=True)
class Run:
    """How long to go on, in minutes, what to start from, and how fast at most (seconds for an interval)."""

    end_time: float = 10.0
    interval: float = 0.1
    concentration: float = 0.5
    temperature: float = 350.0
    tracer: float = 1.0
    pace: float = 0.0

    @property
    def intervals(self) -> int:
        """Number of intervals; the last one ends nearest to the end time."""
        return max(1, round(self.end_time / self.interval))

    def first_state(self, tanks: Tanks) -> Array:
        """Return the state to start from where no other run has left one."""
        return tanks.start(self.concentration, self.temperature, self.tracer)


class Ending:
    """Says whether the run was asked to end: by a signal, or by the file `STOP`."""

    def __init__(self, out: Path) -> None:
        self.number: int | None = None
        self._file = out / "STOP"
        self._file.unlink(missing_ok=True)  # left by the run before
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = self.number or number

    def asked(self) -> bool:
        """Look."""
        return self.number is not None or self._file.exists()

    def sleep_until(self, moment: float) -> None:
        """Sleep to a moment of the monotonic clock, or until it is asked to end."""
        while not self.asked() and (left := moment - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


class Tables:
    """The series that are written as the run goes; each line is complete when it is there."""

    def __init__(self, out: Path) -> None:
        self._reactor = (out / "reactor.csv").open("w")
        self._heat = (out / "heat.csv").open("w")
        self._tracer = (out / "tracer.jsonl").open("w")
        self._put(self._reactor, "time,concentration,temperature,jacket,conversion")
        self._put(self._heat, "time,reaction,jacket,flow")

    def __enter__(self) -> Tables:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._reactor, self._heat, self._tracer):
            file.close()

    def write(self, minutes: float, tanks: Tanks, state: Array) -> None:
        """Add one moment: what leaves the last tank, and where the heat goes."""
        c, t, jacket, tracer = state[:, -1]
        conversion = 1 - c / tanks.feed_concentration if tanks.feed_concentration else 0.0
        self._put(self._reactor, ",".join(f"{x:.8g}" for x in (minutes, c, t, jacket, conversion)))
        self._put(self._heat, ",".join(f"{x:.8g}" for x in (minutes, *tanks.heats(state))))
        inside = float(state[3].sum()) * tanks.volume / tanks.count
        self._put(self._tracer, json.dumps({"time": minutes, "outlet": float(tracer), "inside": inside}))

    @staticmethod
    def _put(file: TextIO, line: str) -> None:
        file.write(line + "\n")
        file.flush()


def run(tanks: Tanks, plan: Run, out: Path, start: Path | None) -> int:
    """Compute, writing below `out`. Answers the exit status: 0, or 128 + the number of the signal."""
    check(tanks, plan)
    out.mkdir(parents=True, exist_ok=True)
    begun, ending = time.monotonic(), Ending(out)
    first, state = read_state(start, tanks) if start else (0.0, plan.first_state(tanks))
    minutes = first
    stepper = Stepper(tanks.rate)
    with (out / "log.stirred-tank").open("w") as log, Tables(out) as tables:

        def say(text: str) -> None:
            for stream in (log, sys.stdout):
                stream.write(text + "\n")
                stream.flush()

        say(f"{tanks.count} x {tanks.volume / tanks.count:g} L, {tanks.flow:g} L/min, {tanks.residence:g} min inside")
        tables.write(minutes, tanks, state)
        for number in range(1, plan.intervals + 1):
            state = stepper.advance(state, plan.interval)
            minutes = first + number * plan.interval
            tables.write(minutes, tanks, state)
            say(f"Time = {minutes - first:.8g}")
            ending.sleep_until(begun + plan.pace * number)
            if ending.asked() and number < plan.intervals:
                break
        write_state(out / "state.json", minutes, state)
        say(f"{stepper.taken} steps, {stepper.refused} refused; the state at {minutes:g} min is in state.json")
        if ending.number is not None and number < plan.intervals:
            say(f"Stopped by signal {ending.number}.")
            return 128 + ending.number
        say("End" if number == plan.intervals else "Stopped as the file STOP asked.")
    return 0


def check(tanks: Tanks, plan: Run) -> None:
    """Raise `Refused` for values that make no sense."""
    limits = (
        ("--tanks", tanks.count, 1, 50),
        ("--volume", tanks.volume, 0.1, 1e6),
        ("--flow", tanks.flow, 1e-3, 1e6),
        ("--feed-concentration", tanks.feed_concentration, 0.0, 100.0),
        ("--feed-temperature", tanks.feed_temperature, 250.0, 600.0),
        ("--coolant-temperature", tanks.coolant_temperature, 250.0, 600.0),
        ("--coolant-flow", tanks.coolant_flow if tanks.coolant_flow is not None else 0.0, 0.0, 1e5),
        ("--end-time", plan.end_time, 1e-3, 1e5),
        ("--interval", plan.interval, 1e-4, 1e4),
        ("--concentration", plan.concentration, 0.0, 100.0),
        ("--temperature", plan.temperature, 250.0, 1000.0),
        ("--tracer", plan.tracer, 0.0, 1e6),
        ("--pace", plan.pace, 0.0, 3600.0),
    )
    for option, value, low, high in limits:
        if not low <= value <= high:  # also refuses nan
            raise Refused(f"{option} must lie between {low:g} and {high:g}, not {value:g}.")
    if plan.interval > plan.end_time:
        raise Refused(f"--interval {plan.interval:g} is longer than --end-time {plan.end_time:g}.")
    if plan.intervals > 1_000_000:
        raise Refused(f"{plan.intervals} intervals are too many: choose a longer --interval.")


def write_state(path: Path, minutes: float, state: Array) -> None:
    """Write a file that appears whole or not at all."""
    rows = {name: row.tolist() for name, row in zip(STATE_ROWS, state, strict=True)}
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps({"time": minutes, **rows}, indent=1) + "\n")
    part.replace(path)


def read_state(path: Path, tanks: Tanks) -> tuple[float, Array]:
    """Read what another run left. Raises `Refused`."""
    try:
        found = json.loads(path.read_text())
        minutes = float(found["time"])
        state = np.array([found[name] for name in STATE_ROWS], dtype=float)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path} is not a state of this solver ({type(error).__name__}).") from error
    if state.shape != (4, tanks.count):
        raise Refused(f"{path} is the state of another number of tanks than {tanks.count}.")
    if not (math.isfinite(minutes) and np.isfinite(state).all() and (state[1] > 100).all()):
        raise Refused(f"{path} holds numbers that are no state.")
    return minutes, state


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say it in one sentence, without the usage text."""
        self.exit(2, f"stirred-tank: {message}\n")


def _parse(arguments: list[str] | None) -> tuple[Tanks, Run, Path, Path | None]:
    parser = _Parser(prog="stirred-tank", description="Cooled stirred tanks in a row, with an exothermic reaction.")
    tanks, plan = Tanks(), Run()
    parser.add_argument("--tanks", dest="count", type=int, default=tanks.count, help="tanks in a row")
    for name, unit in (
        ("volume", "L"),
        ("flow", "L/min"),
        ("feed_concentration", "mol/L"),
        ("feed_temperature", "K"),
        ("coolant_temperature", "K"),
    ):
        parser.add_argument(_option(name), type=float, default=getattr(tanks, name), help=f"{unit} (%(default)g)")
    parser.add_argument("--coolant-flow", type=float, help="L/min; without it the jackets keep their temperature")
    for item in fields(Run):
        parser.add_argument(_option(item.name), type=float, default=getattr(plan, item.name), help="(%(default)g)")
    parser.add_argument("--start", type=Path, help="state.json of another run, to go on from")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the results (here)")
    values = vars(parser.parse_args(arguments))
    chosen = Run(**{item.name: values.pop(item.name) for item in fields(Run)})
    out, start = values.pop("out"), values.pop("start")
    return Tanks(**values), chosen, out, start


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def main(arguments: list[str] | None = None) -> int:
    """Entry point. Exit status: 0 done, or stopped by the file STOP; 1 failed, 2 bad parameters, 143 ended by TERM."""
    tanks, plan, out, start = _parse(arguments)
    try:
        return run(tanks, plan, out, start)
    except Refused as refused:
        print(f"stirred-tank: {refused}", file=sys.stderr)
        return 2
    except (Stuck, OSError) as failure:
        print(f"stirred-tank: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

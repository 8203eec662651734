#!/usr/bin/python3
"""Lid-driven cavity: laminar, incompressible flow in a square box whose top wall slides.

The problem is that of OpenFOAM's icoFoam tutorial of the same name (a square of 0.1 m, a lid at 1 m/s), and
so are the files that it leaves.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

from flow import Cavity, Diverged, Report
from parameters import Parameters, Refused
from results import time_name, write_fields, write_setup


class Log:
    """`log.cavity` and standard output, both flushed with every message."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        """Add a message and its newline."""
        for stream in (self._file, sys.stdout):
            stream.write(text + "\n")
            stream.flush()


class StopSignal:
    """Remembers the first TERM or INT, so that the current step can be finished."""

    number: int | None = None

    def __init__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.number is None:
            self.number = number

    def sleep_until(self, moment: float) -> None:
        """Sleep to a moment of the monotonic clock, or until the signal came."""
        while self.number is None and (left := moment - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


def _step_text(seconds: float, report: Report, cumulative: float, begun: float) -> str:
    solved = "\n".join(
        f"direct:  Solving for {name}, Initial residual = {first:.6g}, Final residual = {last:.6g}, No Iterations 1"
        for name, (first, last) in report.residuals.items()
    )
    local, total = report.continuity
    mean, most = report.courant
    return (
        f"Time = {time_name(seconds)}\n\nCourant Number mean: {mean:.6g} max: {most:.6g}\n{solved}\n"
        f"time step continuity errors : sum local = {local:.6g}, global = {total:.6g}, "
        f"cumulative = {cumulative:.6g}\n"
        f"ExecutionTime = {time.process_time():.2f} s  ClockTime = {time.monotonic() - begun:.0f} s\n"
    )


@contextlib.contextmanager
def _records(out: Path) -> Iterator[tuple[Log, TextIO]]:
    """Open the log and the table of residuals anew; both only ever grow from then on."""
    table = out / "postProcessing/residuals.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    with (out / "log.cavity").open("w") as log, table.open("w") as residuals:
        residuals.write("time,Ux,Uy,p,continuity\n")
        residuals.flush()
        yield Log(log), residuals


def run(parameters: Parameters, out: Path) -> int:
    """Compute, writing below `out`. Answers the exit status: 0, or 128 + the number of the signal."""
    parameters.check()
    stop, begun = StopSignal(), time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    with _records(out) as (log, residuals):
        flow, cumulative = Cavity(parameters.cells, parameters.reynolds, parameters.delta_t), 0.0
        log.write(
            f"cavity: Re = {parameters.reynolds:g}, nu = {parameters.nu:g} m2/s, "
            f"{parameters.cells} x {parameters.cells} cells, "
            f"deltaT = {parameters.delta_t:g} s, endTime = {parameters.end_time:g} s\n"
            "\nStarting time loop\n"
        )
        write_setup(out, parameters)
        write_fields(out, flow, 0, 0.0)
        for step in range(1, parameters.steps + 1):
            report = flow.step()
            cumulative += report.continuity[1]
            seconds = step * parameters.delta_t
            log.write(_step_text(seconds, report, cumulative, begun))
            numbers = [*(first for first, _ in report.residuals.values()), report.continuity[0]]
            residuals.write(f"{time_name(seconds)},{','.join(f'{number:.6g}' for number in numbers)}\n")
            residuals.flush()
            # The pace is spread over the steps, so that the log grows evenly.
            stop.sleep_until(begun + parameters.pace * step / parameters.write_interval)
            stopped = stop.number is not None and step < parameters.steps
            if stopped or step % parameters.write_interval == 0 or step == parameters.steps:
                write_fields(out, flow, step, seconds)
            if stop.number is not None and stopped:
                log.write(f"Stopped by signal {stop.number}; the fields at {time_name(seconds)} s are written.")
                return 128 + stop.number
        log.write("End\n")
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say it in one sentence, without the usage text."""
        self.exit(2, f"cavity: {message}\n")


def _parse(arguments: list[str] | None) -> tuple[Parameters, Path]:
    parser = _Parser(prog="cavity", description="Lid-driven cavity flow: a square of 0.1 m, a lid at 1 m/s.")
    known = Parameters()
    options = (
        ("--reynolds", float, known.reynolds, "Reynolds number"),
        ("--cells", int, known.cells, "cells along each side"),
        ("--end-time", float, known.end_time, "seconds to simulate"),
        ("--delta-t", float, known.delta_t, "time step, seconds"),
        ("--write-interval", int, known.write_interval, "steps between written times"),
        ("--pace", float, known.pace, "least wall-clock seconds per written time"),
    )
    for name, kind, default, meaning in options:
        parser.add_argument(name, type=kind, default=default, help=f"{meaning} (default: {default:g})")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the results (default: here)")
    values = vars(parser.parse_args(arguments))
    out: Path = values.pop("out")
    return Parameters(**values), out


def main(arguments: list[str] | None = None) -> int:
    """Entry point. Exit status: 0 done, 1 failed, 2 bad parameters, 143 ended by TERM."""
    parameters, out = _parse(arguments)
    try:
        return run(parameters, out)
    except Refused as refused:
        print(f"cavity: {refused}", file=sys.stderr)
        return 2
    except (Diverged, OSError) as failure:
        print(f"cavity: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""Entry point of the demo."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from gateway.cli.demo.cases import CASES
from gateway.cli.demo.places import Places, default_places
from gateway.cli.demo.play import play
from gateway.cli.demo.screen import Screen
from gateway.cli.demo.sites import TARGETS
from gateway.cli.exits import Exit, status_of, tell
from gateway.cli.session import note
from gateway.errors import GatewayError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    """Clean up, then end; further signals do not disturb the cleaning."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def demo(
    target: Annotated[str, typer.Option(help=f"One of {', '.join(TARGETS)}.")] = "local",
    case: Annotated[
        str, typer.Option(help=f"Run a case instead, its image delivered by the gateway: {', '.join(CASES)}.")
    ] = "",
    folder: Annotated[Path | None, typer.Option(help="Keep the demo's data there.", show_default=False)] = None,
) -> None:
    """Run the cavity job, end to end, on this machine."""
    if target not in TARGETS:
        note(f"demo: there is no target {target!r}; choose one of {', '.join(TARGETS)}")
        raise typer.Exit(Exit.USAGE)
    if case and case not in CASES:
        note(f"demo: there is no case {case!r}; choose one of {', '.join(CASES)}")
        raise typer.Exit(Exit.USAGE)
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    try:
        with Screen() as screen:
            places = Places(folder.absolute()) if folder else default_places()
            status = play(target, places, screen, CASES.get(case))
    except GatewayError as error:
        note("\n".join(tell(error)))
        status = status_of(error)
    except KeyboardInterrupt:
        note("stopped; nothing is left running")
        status = Exit.INTERRUPTED
    sys.exit(status)


if __name__ == "__main__":
    typer.run(demo)

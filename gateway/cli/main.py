"""Entry point of ``gateway``."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Protocol, runtime_checkable

import typer

from gateway.cli import (
    case_commands,
    catalogue_commands,
    change_commands,
    check_commands,
    compare_commands,
    crate_commands,
    data_commands,
    image_commands,
    job_commands,
    list_commands,
    module_commands,
    output_commands,
    people_commands,
    publish_commands,
    retention_commands,
    site_commands,
    sweep_commands,
)
from gateway.cli.exits import Exit, status_of, tell
from gateway.cli.session import Session
from gateway.cli.text import line
from gateway.errors import GatewayError

app = typer.Typer(
    name="gateway",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="--config FILE, --json and --debug may stand anywhere. Exit status: 0 done, 1 unexpected error, "
    "2 usage, 3 not found, 4 gateway or target cannot be reached, 5 refused, 10 the job failed, "
    "11 outputs differ.",
)
GLOBAL_FLAGS = frozenset({"--json", "--debug"})


@app.callback()
def _options(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Configuration file.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Launch containerised simulations, and see every output."""
    context.obj = Session(config, as_json, debug)


for group in (
    job_commands,
    list_commands,
    change_commands,
    data_commands,
    output_commands,
    check_commands,
    compare_commands,
    crate_commands,
    sweep_commands,
    case_commands,
    image_commands,
    catalogue_commands,
    publish_commands,
    module_commands,
    site_commands,
    retention_commands,
    people_commands,
):
    group.register(app)


@runtime_checkable
class _UsageError(Protocol):
    """What typer raises for a command line that it cannot parse, in any of its versions."""

    exit_code: int

    def format_message(self) -> str: ...


def main() -> None:
    """Run ``gateway`` with the arguments of this process."""
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _quiet_pipe()
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status. Nothing but the answer goes to standard output."""
    words = global_first(arguments) or ["--help"]
    debug = "--debug" in words[: words.index("--")] if "--" in words else "--debug" in words
    try:
        found = app(words, prog_name="gateway", standalone_mode=False)
        return int(found) if isinstance(found, int) else Exit.DONE
    except GatewayError as error:
        _trace(debug)
        _say(*tell(error))
        return status_of(error)
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    except (BrokenPipeError, SystemExit):  # typer ends so when whoever reads our output has gone
        _quiet_pipe()
        return Exit.DONE
    except Exception as error:  # whatever it is, people get one sentence and no trace
        if isinstance(error, _UsageError):
            _say(f"gateway: {error.format_message()}", "  see: gateway --help")
            return Exit.USAGE
        _trace(debug)
        if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
            _say(
                f"gateway: {line(str(error.filename))}: {error.strerror}"
            )  # a file of this machine that a person named
            return Exit.USAGE
        _say(f"gateway: unexpected error: {type(error).__name__}: {error}", "  more with --debug")
        return Exit.UNEXPECTED


def global_first(arguments: Sequence[str]) -> list[str]:
    """Move the options that every command takes to the front, so that they may stand anywhere."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in GLOBAL_FLAGS or word.startswith("--config="):
            front.append(word)
        elif word == "--config":
            front += [word, *[value for value in [next(words, None)] if value is not None]]
        else:
            rest.append(word)
    return front + rest


def _say(*lines: str) -> None:
    print("\n".join(lines), file=sys.stderr)


def _trace(debug: bool) -> None:
    if debug:
        traceback.print_exc()


def _quiet_pipe() -> None:
    """Whoever read our output has gone; Python's last flush must not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()

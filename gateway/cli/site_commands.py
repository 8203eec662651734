"""The commands that serve a gateway and look after its configuration and targets."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import gateway
from gateway.cli.exits import Exit, UsageMistake
from gateway.cli.session import note, session_of
from gateway.cli.text import ago, line
from gateway.errors import ConfigurationError, NotFound
from gateway.model.job import Probe
from gateway.settings import find_file

if TYPE_CHECKING:  # what reaches targets takes half a second to import: only the commands that do so pay for it
    from gateway.compute.adopt import ShownKey
    from gateway.compute.target import Target

config_app = typer.Typer(help="Look at the configuration.")
target_app = typer.Typer(help="Check and add targets.")
CONFIG_HOME = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
DEFAULT_FILE = CONFIG_HOME / "science-gateway/gateway.toml"
MARKS = {"ok": "ok", "warning": "warning", "failed": "FAILED", "skipped": "-"}


def serve(context: typer.Context) -> None:
    """Serve the API and drive the jobs, until it is stopped."""
    from gateway.api.server import serve as serve_gateway

    asyncio.run(serve_gateway(session_of(context).settings()))


def targets(context: typer.Context) -> None:
    """List the targets."""
    session = session_of(context)
    with session.gateway() as client:
        found = client.targets()
    if session.json:
        session.answer({"items": found})
        return
    heads = ("NAME", "STATE", "TRANSPORT", "SCHEDULER", "RUNTIME", "LIVE JOBS", "SEEN", "")
    session.table(
        heads,
        (
            (
                t.name,
                t.state,
                t.transport,
                t.scheduler,
                t.runtime,
                str(t.live_jobs),
                ago(t.observed_at),
                t.message or "",
            )
            for t in found
        ),
    )


def version(context: typer.Context) -> None:
    """Print the version."""
    session = session_of(context)
    if session.json:
        session.answer({"version": gateway.__version__})
    else:
        print(gateway.__version__)


@config_app.command("check")
def config_check(context: typer.Context) -> int:
    """Name every mistake in the configuration, with its key."""
    from gateway.jobs.configured import check_configuration

    session = session_of(context)
    settings = session.settings()
    mistakes = check_configuration(settings)
    if session.json:
        session.answer(
            {"file": str(settings.source) if settings.source else None, "errors": [vars(m) for m in mistakes]}
        )
        return Exit.USAGE if mistakes else Exit.DONE
    if mistakes:
        raise ConfigurationError(f"{settings.source or 'the configuration'} has mistakes", mistakes)
    print(f"{settings.source or 'no file: the built-in default'} is good")
    return Exit.DONE


@config_app.command("show")
def config_show(context: typer.Context) -> None:
    """Print the whole configuration, defaults included, as JSON. Secrets are named, never shown."""
    session = session_of(context)
    session.answer(session.settings())


@config_app.command("path")
def config_path(context: typer.Context) -> None:
    """Print which file the configuration is read from."""
    session = session_of(context)
    file = find_file(session.config, os.environ)
    if session.json:
        session.answer({"file": str(file.absolute()) if file else None})
    elif file:
        print(file.absolute())
    else:
        note(f"no file: the built-in default is used; the place for one is {DEFAULT_FILE}")


@target_app.command("check")
def target_check(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Default: the configuration's default target.")] = None,
) -> int:
    """Look at all that jobs need on a target: one line each, with the fix. Needs no running gateway."""
    from gateway.compute.target import build_target

    session = session_of(context)
    settings = session.settings()
    chosen = name or settings.default_target
    if chosen is None:
        raise UsageMistake("which target?", hint=f"one of {', '.join(settings.targets)}")
    if chosen not in settings.targets:
        raise NotFound(f"there is no target {chosen!r}", hint=f"configured: {', '.join(settings.targets) or 'none'}")
    probes = asyncio.run(_check(build_target(chosen, settings.targets[chosen], settings.gateway)))
    if session.json:
        session.answer({"items": probes})
    else:
        width = max(len(probe.name) for probe in probes)
        for probe in probes:
            print(f"{MARKS.get(probe.status, probe.status):<8} {line(probe.name):<{width}}  {line(probe.detail)}")
            if probe.fix and probe.status != "ok":
                print(f"{'':<8} {'':<{width}}  {line(probe.fix)}")
    return _check_exit(probes)


async def _check(target: Target) -> list[Probe]:
    from gateway.compute.check import check_target

    try:
        return await check_target(target)
    finally:
        await target.close()


def _check_exit(probes: Sequence[Probe]) -> Exit:
    failed = [probe for probe in probes if probe.status == "failed"]
    if not failed:
        return Exit.DONE
    reached = any(probe.status == "ok" for probe in probes)
    return Exit.REFUSED if reached else Exit.UNREACHABLE


@target_app.command("add")
def target_add(
    context: typer.Context,
    host: Annotated[str, typer.Argument(metavar="USER@HOST", help="Or an alias of ~/.ssh/config.")],
    name: Annotated[str | None, typer.Option(help="Name of the target (default: the host's).")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    key_file: Annotated[Path | None, typer.Option(help="Private key.")] = None,
    agent: Annotated[bool, typer.Option("--agent", help="Use the keys of the SSH agent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the host key that is shown, without asking.")] = False,
) -> None:
    """Look at a machine and write it into the configuration as a target."""
    from gateway.compute.adopt import propose, write_target

    session = session_of(context)

    async def confirm(key: ShownKey) -> bool:
        known = " (your known_hosts knows it)" if key.known else ""
        note(f"the host key of {line(key.host)}: {line(key.fingerprint)}{known}")
        if yes or key.known:
            return True
        return sys.stdin.isatty() and typer.confirm("Is that the right one?", err=True)

    found = asyncio.run(propose(host, confirm, name=name, port=port, key_file=key_file, agent=agent))
    file = session.config or _chosen_file()
    write_target(file, found)
    if session.json:
        session.answer({"file": str(file), "name": found.name, "target": dict(found.section), "notes": found.notes})
        return
    for sentence in found.notes:
        note(line(sentence))
    note(f"target {found.name} written to {file}; look at it with: gateway target check {found.name}")
    note("a running gateway takes it up when it is started again")


def _chosen_file() -> Path:
    """Return the file that the configuration is read from, or is to be."""
    if named := os.environ.get("GATEWAY_CONFIG"):
        return Path(named)
    return find_file(None, os.environ) or DEFAULT_FILE


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (serve, targets, version):
        app.command()(command)
    app.add_typer(config_app, name="config")
    app.add_typer(target_app, name="target")

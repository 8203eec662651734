"""`gateway target check`: one line for each thing that jobs need, with the fix. Few remote commands."""

from __future__ import annotations

import platform
import shlex
import time
from collections.abc import Mapping

from gateway import templates
from gateway.compute import scripts
from gateway.compute.remote import RemoteScript
from gateway.compute.target import Target, TargetPaths
from gateway.compute.tools import bring_rclone
from gateway.compute.transport.base import CommandResult
from gateway.errors import GatewayError, SchedulerError
from gateway.model.job import Probe

LITTLE_SPACE = 5 * 1024**3
"""Bytes; less free space gives a warning."""
MOST_SKEW = 5.0
"""Seconds that the target's clock may be off."""
ALL = ("ssh", "scheduler", "runtime", "workdir", "image cache", "noexec", "space", "nodes", "clock", "rclone")


async def check_target(target: Target) -> list[Probe]:
    """Look at everything that jobs need on `target`. Never raises for what the target does wrong."""
    try:
        found = await target.transport.probe()
        paths = await target.paths()
        script = _script(target, paths)
        before = time.time()
        sections = script.parse(await target.transport.run(script.text, timeout=120))
        after = time.time()
    except GatewayError as error:
        failed = Probe(name=target.transport.kind, status="failed", detail=error.message, fix=error.hint)
        return [failed, *(Probe(name=name, status="skipped", detail="not looked at") for name in ALL[1:])]
    found.append(_scheduler(target, sections["scheduler"]))
    found.append(_runtime(target, sections))
    workdir = read_lines(sections["workdir"])
    found.append(_folder("workdir", paths.workdir, workdir))
    found.append(_folder("image cache", paths.image_cache, read_lines(sections["cache"])))
    found += [_noexec(paths.workdir, workdir), _space(paths.workdir, workdir)]
    architecture, nodes = _nodes(read_lines(sections["nodes"]), sections["nodes"])
    found += [nodes, _clock(sections["clock"], before, after), await _rclone(target, paths, architecture)]
    return found


def _script(target: Target, paths: TargetPaths) -> RemoteScript:
    script = RemoteScript()
    functions = scripts.read("check")
    script.add("scheduler", target.scheduler.detect().line())
    payload = templates.library("payload.sh")
    for runtime in target.runtimes:
        name = runtime.kind.replace("-", "_")
        look = f"gw_problem=; gw_{name}_available >/dev/null 2>&1 && echo yes || printf '%s\\n' \"$gw_problem\""
        script.add(f"runtime_{runtime.kind}", f"{payload}\n{runtime.library()}\n{look}")
    script.add("workdir", f"{functions}\ngw_check_folder {shlex.quote(paths.workdir)}")
    script.add("cache", f"{functions}\ngw_check_folder {shlex.quote(paths.image_cache)}")
    script.add("nodes", f"{functions}\ngw_check_nodes")
    script.add("clock", "date +%s.%N")
    return script


def read_lines(result: CommandResult) -> dict[str, str]:
    """Read lines of ``key value``; of several with one key the first counts."""
    found: dict[str, str] = {}
    for line in result.text()[0].splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, value)
    return found


def _scheduler(target: Target, result: CommandResult) -> Probe:
    try:
        facts = target.scheduler.detect().parse(*result.text())
    except SchedulerError as error:
        return Probe(name="scheduler", status="failed", detail=error.message, fix=error.hint)
    detail = " ".join(part for part in (target.scheduler.kind, facts.dialect, facts.version) if part)
    return Probe(name="scheduler", status="ok", detail=detail)


def _runtime(target: Target, sections: Mapping[str, CommandResult]) -> Probe:
    there, problems = [], []
    for runtime in target.runtimes:
        said = sections[f"runtime_{runtime.kind}"].text()[0].strip()
        if said == "yes":
            there.append(runtime.kind)
        else:
            problems.append(said or f"{runtime.kind} is not there")
    if there:
        where = "" if target.scheduler.kind == "direct" else " (on the login node)"
        return Probe(name="runtime", status="ok", detail=", ".join(there) + where)
    return Probe(
        name="runtime",
        status="failed" if target.scheduler.kind == "direct" else "warning",
        detail="; ".join(problems),
        fix="load it in the scheduler's preamble (module load apptainer), or put its folder into 'path'",
    )


def _folder(name: str, folder: str, said: Mapping[str, str]) -> Probe:
    for key, what in (("made", "cannot be made"), ("written", "cannot be written to")):
        if key in said:
            fix = f"set {'workdir' if name == 'workdir' else 'image_cache'} to a folder that the account owns"
            return Probe(name=name, status="failed", detail=f"{folder} {what}: {said[key]}", fix=fix)
    return Probe(name=name, status="ok", detail=folder)


def _noexec(folder: str, said: Mapping[str, str]) -> Probe:
    if "exec" not in said:
        return Probe(name="noexec", status="skipped", detail="the folder could not be written to")
    if said["exec"] == "yes":
        return Probe(name="noexec", status="ok", detail="programs run in the workdir")
    fix = "choose a workdir that is not mounted noexec; rclone is brought there"
    return Probe(name="noexec", status="failed", detail=f"programs cannot be executed in {folder}", fix=fix)


def _space(folder: str, said: Mapping[str, str]) -> Probe:
    if not said.get("free", "").isdigit():
        return Probe(name="space", status="skipped", detail="df did not say")
    free = int(said["free"]) * 1024
    detail = f"{free / 1024**3:.1f} GiB free in {folder}"
    if free < LITTLE_SPACE:
        return Probe(name="space", status="warning", detail=detail, fix="free some space, or choose another workdir")
    return Probe(name="space", status="ok", detail=detail)


def _nodes(said: Mapping[str, str], result: CommandResult) -> tuple[str, Probe]:
    """Return the architecture to bring programs for, and the line about it."""
    known = [line.removeprefix("arch ") for line in result.text()[0].splitlines() if line.startswith("arch ")]
    login = said.get("login", "unknown")
    if len(known) > 1:
        detail = f"compute nodes are {', '.join(known)}"
        fix = "name one kind of nodes by the scheduler's directives"
        return (login if login in known else known[0]), Probe(name="nodes", status="warning", detail=detail, fix=fix)
    detail = f"compute nodes are {known[0]}" if known else f"{login} (the login node; the scheduler does not say)"
    return (known or [login])[0], Probe(name="nodes", status="ok", detail=detail)


def _clock(result: CommandResult, before: float, after: float) -> Probe:
    try:
        theirs = float(result.text()[0].strip())
    except ValueError:
        return Probe(name="clock", status="skipped", detail="date did not say")
    # Somewhere between `before` and `after` they looked at their clock: only what lies outside is skew.
    skew = max(before - theirs, theirs - after, 0.0)
    if skew > MOST_SKEW:
        direction = "behind" if theirs < before else "ahead"
        detail = f"its clock is {skew:.0f} s {direction}"
        return Probe(name="clock", status="warning", detail=detail, fix="run NTP on both machines")
    return Probe(name="clock", status="ok", detail=f"within {max(1, round(skew))} s")


async def _rclone(target: Target, paths: TargetPaths, architecture: str) -> Probe:
    try:
        path = await bring_rclone(target.transport, paths.tools, architecture=architecture)
    except GatewayError as error:
        return Probe(name="rclone", status="failed", detail=error.message, fix=error.hint)
    own = f" (gateway: {platform.machine()})" if architecture != platform.machine() else ""
    return Probe(name="rclone", status="ok", detail=f"{path}{own}")

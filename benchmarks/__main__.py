"""``python -m benchmarks [NAME…] [--write]``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from types import ModuleType

from benchmarks import (
    accept_jobs,
    deep_pages,
    large_tree,
    list_outputs,
    machine,
    many_jobs,
    million_jobs,
    million_outputs,
    panel,
    poll_jobs,
    pull_image,
    reads,
    reconcile_store,
    relay,
    report,
    submit_arrays,
    submit_latency,
    submit_over_ssh,
    unchanged_pass,
    visible,
)
from benchmarks.report import Section
from testbed.processes import MissingPart

ALL: dict[str, ModuleType] = {
    "accept": accept_jobs,
    "submit": submit_over_ssh,
    "latency": submit_latency,
    "arrays": submit_arrays,
    "poll": poll_jobs,
    "many": many_jobs,
    "reads": reads,
    "deep": deep_pages,
    "list": list_outputs,
    "reconcile": reconcile_store,
    "pass": unchanged_pass,
    "relay": relay,
    "visible": visible,
    "panel": panel,
    "pull": pull_image,
}
LONG: dict[str, ModuleType] = {"million": million_jobs, "large_tree": large_tree, "million_outputs": million_outputs}
"""Run only where they are named: they take many minutes."""
PAGE = Path(__file__).with_name("RESULTS.md")


def main() -> int:
    """Run the benchmarks that are named, all by default; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=report.RATIO)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"one of {', '.join([*ALL, *LONG])}; all by default, but {', '.join(LONG)}",
    )
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} too (of all benchmarks)")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - {*ALL, *LONG}):
        parser.error(f"there is no benchmark named {', '.join(unknown)}; there are {', '.join([*ALL, *LONG])}")
    if options.write and options.names:
        parser.error(f"{PAGE.name} has all benchmarks: --write goes with no names")
    measured_on = machine.described()
    print("\n".join(f"{name}: {value}" for name, value in measured_on.items()))
    sections, known = [], {**ALL, **LONG}
    begin = time.monotonic()
    for name in options.names or ALL:
        try:
            found = asyncio.run(known[name].run())
        except MissingPart as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        sections.append(Section(name, (known[name].__doc__ or "").strip(), found))
        print(f"\n{report.terminal(sections[-1])}", flush=True)
    print(f"\n{time.monotonic() - begin:.0f} s in all")
    if options.write:
        PAGE.write_text(report.page(sections, measured_on))
    return 0


if __name__ == "__main__":
    sys.exit(main())

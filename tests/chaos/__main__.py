"""``make chaos``: plays all scenarios and writes docs/chaos.md.

Words after the command choose among the names (``python -m tests.chaos squeue``); what is played replaces its rows.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from testbed import leftovers
from testbed.azurite import Azurite
from testbed.cluster import Cluster
from testbed.images import build_test_image
from testbed.postgres import Postgres
from testbed.seaweed import Seaweed
from tests.chaos.playing import Played, playing
from tests.chaos.registry import all_scenarios
from tests.chaos.yard import Yard

Shared = Cluster | Azurite | Seaweed | Postgres
AT_ONCE = 4
FAILED = "**FAILED**"
PAGE = Path(__file__).resolve().parent.parent.parent / "docs/chaos.md"
HEAD = """# What was broken, and what came of it

Made by `make chaos`; do not edit. Each scenario runs jobs on a real cluster, breaks one thing while they are on their
way, and looks from outside: the payload says itself how often it ran, the scheduler and the store are asked directly.
What holds in each: **the payload of an attempt begins once; a job has one ended state; outputs that are called complete
are in the store byte for byte, others are called partial, and why; nothing is left at the scheduler.** "Seen" adds what
is special. Scenarios with a ⚡ run in `make test` too. A scenario that was played again by itself has its newest row.

"""


def report(played: Sequence[Played]) -> str:
    """Return the page."""
    failed = [one for one in played if one.trace is not None]
    lines = [HEAD, f"{len(played)} scenarios, {len(failed)} of them failed.\n\n"]
    lines += ["| scenario | what was done | seen | seconds |\n", "|---|---|---|---|\n"]
    return "".join([*lines, *(row(one) for one in played)])


def row(one: Played) -> str:
    """Return a scenario's line of the page."""
    seen = (f"{FAILED} {one.seen}" if one.trace else one.seen).replace("|", "\\|")
    return f"{row_start(one)}{one.scenario.what} | {seen} | {one.seconds:.0f} |\n"


def row_start(one: Played) -> str:
    """Return what a scenario's line begins with."""
    return f"| {one.scenario.name}{' ⚡' if one.scenario.quick else ''} | "


def replaced(page: str, played: Sequence[Played]) -> str:
    """Return the page with the lines of what was played again, and the number of failures that it then has."""
    lines = page[page.index("| scenario |") :].splitlines(keepends=True)
    for one in played:
        lines = [row(one) if line.startswith(row_start(one)) else line for line in lines]
    failed = sum(f"| {FAILED} " in line for line in lines)
    return "".join([HEAD, f"{len(lines) - 2} scenarios, {failed} of them failed.\n\n", *lines])


def main(words: Sequence[str]) -> int:
    """Play, write the page where all were played, and return the exit status."""
    mark = os.environ[leftovers.MARK] = secrets.token_hex(8)
    scenarios = [one for one in all_scenarios() if not words or any(word in one.name for word in words)]
    played: list[Played] = []
    with tempfile.TemporaryDirectory(prefix="gw-image-") as folder:
        Path(folder).chmod(0o755)
        parts: dict[str, type[Shared]] = {
            "cluster": Cluster,
            "azurite": Azurite,
            "seaweed": Seaweed,
            "postgres": Postgres,
        }
        made: list[Shared] = []

        def started(kind: type[Shared]) -> Shared:
            made.append(kind().start())
            return made[-1]

        yard = Yard(
            {
                **{name: lambda kind=kind: started(kind) for name, kind in parts.items()},
                "image": lambda: build_test_image(Path(folder) / "image"),
            }
        )
        try:
            with playing(scenarios, yard, AT_ONCE) as answers:
                for scenario in scenarios:
                    one = answers[scenario.name].result()
                    played.append(one)
                    print(f"{'FAILED' if one.trace else 'ok':6} {one.seconds:5.1f} s  {scenario.name}: {one.seen}")
                    if one.trace:
                        print(one.trace, flush=True)
        finally:
            yard.close()
            for part in made:
                part.stop()
    left = leftovers.end_processes(mark)
    if left:
        print(f"left by the scenarios: {left}")
    if not words:
        PAGE.write_text(report(played))
    elif PAGE.exists():
        PAGE.write_text(replaced(PAGE.read_text(), played))
    return 1 if left or any(one.trace for one in played) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

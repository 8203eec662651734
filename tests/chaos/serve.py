"""A gateway with shorter patience, and with what else a scenario does to its process.

``python -m tests.chaos.serve --config FILE serve``, with options as JSON in the variable CHAOS: ``timing`` replaces
fields of `Timing`; each name in ``modules`` is a module whose ``install(OPTIONS)`` is called first, before anything
of the gateway is imported.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from functools import partial

SHORT = {
    "record_grace": 3.0,
    "unseen_grace": 3.0,
    "lost_grace": 10.0,
    "unreachable_grace": 1.5,
    "submit_grace": 3.0,
    "cancel_grace": 4.0,
    "submit_timeout": 8.0,
    "poll_timeout": 5.0,
    "stage_timeout": 20.0,
    "rescue_delays": (0.5, 1.0, 2.0, 3.0, 3.0),
    "rescue_later": (2.0, 3.0, 5.0),
    "staging_delays": (1.0, 2.0, 3.0),
    "retry_delays": (0.5,),
    "failure_pause": 0.3,
    "idle_interval": 1.0,
    "lost_interval": 1.0,
}
"""Seconds after which the engine believes what in production takes minutes."""


def main() -> int:
    """Start the gateway."""
    options = json.loads(os.environ.get("CHAOS", "{}"))
    for name in options.get("modules", []):
        importlib.import_module(name).install(options)
    from gateway.cli.main import run
    from gateway.engine import engine
    from gateway.engine.timing import Timing

    engine.Timing = partial(Timing, **{**SHORT, **options.get("timing", {})})  # type: ignore[assignment,misc]
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

"""The state diagram as Mermaid, drawn from the table of transitions: ``python -m gateway.model.diagram [PAGE.md]``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gateway.model.states import ENDED, TRANSITIONS, State

BEGIN = "<!-- drawn by `python -m gateway.model.diagram`: change gateway/model/states.py, not this -->"
END = "<!-- end of the drawing -->"
_BLOCK = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


def mermaid() -> str:
    """Return the diagram, an arrow for each legal transition."""
    lines = ["stateDiagram-v2", "    [*] --> draft", "    [*] --> accepted"]
    for before in State:
        for after in State:
            if after in TRANSITIONS[before] and before is not after:
                lines.append(f"    {before} --> {after}{_label(before, after)}")
    lines += [f"    {state} --> [*]" for state in State if state in ENDED]
    return "\n".join(lines)


def _label(before: State, after: State) -> str:
    if after is State.UNKNOWN:
        return " : not seen"
    if before is State.UNKNOWN:
        return " : given up" if after in ENDED else " : seen again"
    if before is State.LOST:
        return " : late evidence"
    return " : next attempt" if (before, after) == (State.FINALIZING, State.STAGING) else ""


def drawn_into(page: str) -> str:
    """Return `page` with the diagram between its marks.

    Raises
    ------
    ValueError
        The page has not exactly one place for it.
    """
    block = f"{BEGIN}\n```mermaid\n{mermaid()}\n```\n{END}"
    found, count = _BLOCK.subn(lambda _: block, page)
    if count != 1:
        raise ValueError(f"the page has {count} places for the diagram, not 1")
    return found


def main(arguments: list[str]) -> None:
    """Print the diagram, or draw it into the page that is named."""
    if not arguments:
        print(mermaid())
        return
    path = Path(arguments[0])
    path.write_text(drawn_into(path.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])

"""What is signed of a job beside its files. Pure."""

from __future__ import annotations

from sqlalchemy import RowMapping

from gateway.engine import retries
from gateway.engine.verdict import Ending
from gateway.model.states import ENDED, State

Row = RowMapping


def about(row: Row) -> dict[str, str]:
    """Return what is signed of a job beside its files. Its end is, where the attempt's own record says it."""
    found = {name: row[name] for name in ("owner", "name", "case", "target") if row[name]}
    final = row["a_final"] or {}
    if State(row["state"]) in ENDED:
        found["outcome"] = row["state"]
    elif final.get("record") is not None:
        ending = Ending.from_json(final["ending"])
        if not retries.wanted(row["spec"], row["attempt"], ending):  # else it is decided only after its outputs are
            found["outcome"] = str(ending.state)
    return found

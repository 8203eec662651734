"""Results as text for a terminal and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measure import Comparison

HEADINGS = ("measured", "gateway", "baseline", "against", "ratio", "of the rounds")
RATIO = (
    "A ratio is the gateway's time divided by the baseline's: 1 is as fast, 2 is twice as slow, less than 1 is faster. "
    "Gateway and baseline run by turns; each number is a median, the ratio that of the rounds' ratios, with the "
    "smallest and the largest beside it."
)


@dataclass(frozen=True)
class Section:
    """One benchmark: its own words about what it does, and what it found."""

    name: str
    words: str
    found: Sequence[Comparison]


def cells(item: Comparison) -> tuple[str, ...]:
    """Return a row of the table."""
    spread = f"{min(item.ratios):.2f} … {max(item.ratios):.2f}"
    return (
        item.what,
        item.shown(item.gateway),
        item.shown(item.baseline),
        item.against,
        f"{item.ratio:.2f}",
        spread,
    )


def terminal(section: Section) -> str:
    """Return a section for a terminal."""
    lines = [f"{section.name}: {section.words.split(chr(10), 1)[0]}"]
    for item in section.found:
        what, gateway, baseline, against, ratio, spread = cells(item)
        lines.append(f"  {what}: {gateway}; {against}: {baseline}; ratio {ratio} ({spread})")
        lines += [f"    {note}" for note in item.notes]
    return "\n".join(lines)


def page(sections: Sequence[Section], machine: Mapping[str, str]) -> str:
    """Return the whole page, in Markdown."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `python -m benchmarks --write`; `make bench` prints the same.",
        "",
        RATIO,
        "",
    ]
    lines += ["| measured on | |", "|---|---|", *(f"| {name} | {value} |" for name, value in machine.items())]
    for section in sections:
        title, _, text = section.words.partition("\n")
        lines += ["", f"## {title.rstrip('.')}", "", text.strip(), ""]
        lines += [_row(HEADINGS), "|" + "---|" * len(HEADINGS), *(_row(cells(item)) for item in section.found)]
        notes = [f"- {item.what}: {'; '.join(item.notes)}" for item in section.found if item.notes]
        lines += ["", *notes] if notes else []
    return "\n".join(lines) + "\n"


def _row(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"

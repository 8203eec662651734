"""Outputs as a tree."""

from __future__ import annotations

from collections.abc import Callable

from gateway.cli.output_tree import render, walk
from gateway.model.job import OutputFile, OutputFolder, OutputPage


def listing(*paths: str) -> Callable[[str], OutputPage]:
    """A job whose files all have ten bytes."""

    def level(prefix: str) -> OutputPage:
        files, folders = [], {}
        for path in paths:
            if not path.startswith(prefix):
                continue
            head, slash, _ = path[len(prefix) :].partition("/")
            if slash:
                folders[f"{prefix}{head}/"] = folders.get(f"{prefix}{head}/", 0) + 1
            else:
                known = {"name": path, "job_id": "j", "store": "s", "attempt": 1, "state": "final", "url": "/x"}
                files.append(OutputFile(path=path, size=10, **known))
        made = [OutputFolder(prefix=p, count=n, bytes=10 * n) for p, n in folders.items()]
        return OutputPage(prefix=prefix, folders=made, files=files)

    return level


def names(*paths: str, prefix: str = "", budget: int | None = 200) -> list[str]:
    return [f"{'  ' * row.depth}{row.name}" for row in walk(listing(*paths), prefix, budget)]


def test_folders_hold_their_files() -> None:
    assert names("a/b/c", "a/d", "e") == ["a/", "  b/", "    c", "  d", "e"]


def test_times_and_steps_come_in_the_order_of_their_numbers() -> None:
    times = names("0.05/U", "0.1/U", "0/U", "10/U", "9/U")
    assert [name for name in times if name.endswith("/")] == ["0/", "0.05/", "0.1/", "9/", "10/"]
    assert names("c_100.vtk", "c_20.vtk", "c_0.vtk") == ["c_0.vtk", "c_20.vtk", "c_100.vtk"]


def test_a_folder_that_holds_too_much_stays_folded() -> None:
    many = [f"many/{number}" for number in range(6)]
    assert names(*many, "few/a", budget=5) == ["few/", "  a", "many/"]
    assert len(names(*many, "few/a", budget=None)) == 9


def test_a_folded_folder_is_not_even_read() -> None:
    read: list[str] = []
    level = listing(*(f"many/{number}" for number in range(6)))

    def watched(prefix: str) -> OutputPage:
        read.append(prefix)
        return level(prefix)

    list(walk(watched, "", 5))
    assert read == [""]


def test_a_prefix_shows_what_begins_with_it() -> None:
    assert names("VTK/a", "VTK/b/c", "log", prefix="VTK/") == ["a", "b/", "  c"]
    assert names("VTK/a", "VTL", "log", prefix="VT") == ["VTK/", "  a", "VTL"]


def test_lines_are_aligned_and_harmless() -> None:
    assert list(render(walk(listing("a\x1b[31m/b\nc", "d")))) == [
        "a/          10 B  1 file",
        "  b c       10 B  final",
        "d           10 B  final",
    ]

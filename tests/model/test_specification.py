"""What a specification takes, in which forms, and what it refuses."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.model.base import parse_memory, parse_walltime
from gateway.model.specification import JobSpecification, Resources, path_problem


def read(**body: Any) -> JobSpecification:
    return JobSpecification.model_validate({"command": ["true"], **body})


@pytest.mark.parametrize(
    ("given_", "bytes_"),
    [
        (2**20, 2**20),
        ("1048576", 2**20),
        ("512M", 512 * 2**20),
        ("1g", 2**30),
        ("2T", 2**41),
        ("1024K", 2**20),
        ("1 GiB", 2**30),
    ],
)
def test_memory_is_bytes_or_a_number_with_a_unit(given_: Any, bytes_: int) -> None:
    assert Resources(memory=given_).memory == bytes_


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [(60, 60), ("60", 60), ("00:10:00", 600), ("100:00:00", 360000), ("1-02:03:04", 93784), ("0:0:5", 5)],
)
def test_walltime_is_seconds_or_hours_minutes_seconds(given_: Any, seconds: int) -> None:
    assert Resources(walltime=given_).walltime == seconds


@pytest.mark.parametrize("text", ["10 minutes", "1:2", "00:61:00", "-5", "1e3", "", "01:02:03\n", "٣"])
def test_other_walltimes_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Resources(walltime=text)  # type: ignore[arg-type]


@given(st.text(max_size=20))
def test_any_text_is_a_number_of_seconds_and_bytes_or_an_error(text: str) -> None:
    for parse in (parse_memory, parse_walltime):
        with contextlib.suppress(ValueError):
            assert parse(text) >= 0


def test_plain_texts_stand_for_images_and_stores() -> None:
    found = read(image="https://h.example/x.sif", stores=["a", {"store": "b", "path": "x/y"}])
    assert found.image is not None
    assert found.image.ref == "https://h.example/x.sif"
    assert [(choice.store, choice.path) for choice in found.stores] == [("a", None), ("b", "x/y")]


def test_what_was_read_is_read_again_from_its_own_json() -> None:
    found = read(
        image={"ref": "https://h.example/x.sif", "digest": "sha256:" + "a" * 64},
        env={"A": "x\ny"},
        outputs=[{"source": "VTK/**", "destination": "v/"}],
        resources={"memory": "1G", "walltime": "01:00:00"},
    )
    assert JobSpecification.model_validate(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    "body",
    [
        {"command": None},
        {"command": ["a"], "script": "b"},
        {"command": []},
        {"inputs": [{"path": "a", "content": ""}, {"path": "a", "content": ""}]},
        {"inputs": [{"path": "a", "content": ""}, {"path": "a/b", "content": ""}]},
        {"inputs": [{"path": "a"}]},
        {"inputs": [{"path": "a", "content": "", "url": "https://h.example/x"}]},
        {"stores": ["a", "a"]},
        {"resources": {"memory": "1K"}},
        {"resources": {"nodes": 0}},
        {"resources": {"options": {"a b": "c"}}},
        {"resources": {"options": {"a": "b\n"}}},
        {"env": {"A=B": "c"}},
        {"env": {"BASH_ENV": "x"}},
        {"env": {"APPTAINER_BIND": "/"}},
        {"tags": {"": "x"}},
        {"image": {"ref": "https://h.example/x", "digest": "md5:x"}},
        {"image": "rclone:remote,command=id:path"},
        {"sync": {"interval": 0}},
        {"nosuch": 1},
    ],
)
def test_what_contradicts_itself_or_could_do_harm_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**body)


@given(st.text(min_size=1, max_size=40))
def test_an_accepted_path_stays_in_its_folder(path: str) -> None:
    if path_problem(path) is None:
        parts = path.split("/")
        assert ".." not in parts
        assert not path.startswith("/")
        assert parts[0] != ".gateway"
        assert "\0" not in path
        assert "\n" not in path

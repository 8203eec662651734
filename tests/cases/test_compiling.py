"""A case with values and a request becomes a whole specification."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cases.compiling import compile_case, lay_over, place_errors
from gateway.cases.values import complete
from gateway.errors import FieldError, InvalidRequest
from gateway.model.pointers import parts_of, pointer
from gateway.model.specification import JobSpecification
from tests.cases.written import IMAGE, tank

CASE = tank()


def compiled(**values: Any) -> dict[str, Any]:
    return compile_case(CASE, complete(CASE.definition, values), IMAGE)


def test_a_case_with_values_is_a_specification() -> None:
    found = JobSpecification.model_validate(compiled(speed=1.5, cells=4))
    assert found.command == ("tank", "--speed=1.5", "plain")
    assert found.env == {"CELLS": "4"}
    assert [(item.path, item.content, item.executable) for item in found.inputs] == [
        ("in/settings", "speed 1.5\nheat \nplain\n", False),
        ("run.sh", "echo {not_a_value}\n", True),
    ]
    assert (found.resources.cpus, found.resources.memory, found.resources.walltime) == (4, 256 * 2**20, 600)
    assert found.progress is not None
    assert (found.progress.min, found.progress.max) == (0, 4)
    assert found.save_and_stop is not None
    assert found.save_and_stop.command == ("touch", "stop-4")
    assert (found.case, found.case_version, found.name) == ("tank", CASE.version, "Stirred tank")
    assert found.values["cells"] == 4
    assert found.image is not None
    assert found.image.is_built
    assert [series.name for series in found.data] == ["power"]


def test_a_file_that_a_person_gives_is_an_input_where_the_case_puts_it() -> None:
    digest = "sha256:" + "3" * 64
    found = JobSpecification.model_validate(compiled(mesh={"upload": digest}))
    assert [(item.path, item.upload) for item in found.inputs][-1] == ("mesh.bin", digest)


def test_a_request_lays_its_own_fields_over_the_case() -> None:
    request = {
        "case": "tank",
        "values": {},
        "target": "cluster",
        "name": "mine",
        "resources": {"cpus": 16, "queue": "long"},
        "env": {"MORE": "1"},
        "inputs": [{"path": "extra", "content": "x"}],
        "outputs": [{"source": "more/**"}],
        "exclude": ["core"],
        "tags": {"a": "b"},
        "sync": {"interval": 5},
    }
    found = JobSpecification.model_validate(lay_over(compiled(), request))
    assert (found.name, found.target, found.tags) == ("mine", "cluster", {"a": "b"})
    assert (found.resources.cpus, found.resources.memory, found.resources.queue) == (16, 256 * 2**20, "long")
    assert found.env == {"CELLS": "8", "MORE": "1"}
    assert [item.path for item in found.inputs] == ["extra", "in/settings", "run.sh"]
    assert [item.source for item in found.outputs or ()] == ["more/**", "out/**"]
    assert found.exclude == ("core",)
    assert found.values["speed"] == 0.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command", ["sh"]),
        ("script", "rm"),
        ("image", "https://h.example/x.sif"),
        ("progress", {"command": ["x"]}),
        ("data", [{"name": "a", "file": "b"}]),
        ("save_and_stop", {"command": ["x"]}),
        ("env", {"CELLS": "9"}),
    ],
)
def test_what_only_the_case_can_say_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        lay_over(compiled(), {"case": "tank", field: value})
    (error,) = caught.value.errors
    assert error.pointer == (f"#/{field}/CELLS" if field == "env" else f"#/{field}")


def test_a_mistake_of_the_case_is_told_at_the_case_and_one_of_the_request_in_its_place() -> None:
    request = {"case": "tank", "inputs": [{"path": "a", "url": "x"}], "resources": {"cpus": 1}}
    whole = lay_over(compiled(mesh={"url": "https://h.example/x"}), request)
    errors = [
        FieldError("#/inputs/0/url", "bad"),
        FieldError("#/inputs/1/content", "long"),
        FieldError("#/resources/cpus", "many"),
        FieldError("#/resources/memory", "much"),
        FieldError("#/target", "missing"),
        FieldError("#/inputs/3/url", "private"),
        FieldError("#/inputs", "two inputs"),
    ]
    found = place_errors(errors, request, whole, CASE).errors
    assert [error.pointer for error in found] == [
        "#/inputs/0/url",
        "#/case",
        "#/resources/cpus",
        "#/case",
        "#/target",
        "#/values/mesh/url",
        "#/inputs",
    ]
    assert "resources/memory: much" in found[3].detail


@given(st.lists(st.text(max_size=20) | st.integers(0, 99), max_size=4))
def test_the_parts_of_a_pointer_are_read_as_they_were_written(parts: list[str | int]) -> None:
    assert parts_of(pointer(parts)) == [str(part) for part in parts]

"""Handles: what they know, how they show, and what they send."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpx
import pytest
from mock_gateway import BOTH, run_sync
from scripted_gateway import job, problem

from gateway.client import MissingExtra, Series, SeriesSet
from gateway.client.handles import query_of, told_progress
from gateway.client.progress import display
from gateway.errors import GatewayError, NotFound, PreconditionFailed
from gateway.model.job import Job, Progress
from gateway.model.series import SeriesInfo
from gateway.model.sweep import Sweep

ONE = "11111111-1111-4111-8111-111111111111"
both = pytest.mark.parametrize("run", BOTH)


class Server:
    """Answers by path; keeps what was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        found = self.answers.get(f"{request.method} {request.url.path.removeprefix('/api/v1/')}")
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, httpx.Response):
            return found
        return httpx.Response(404, json=problem("not-found", 404)) if found is None else httpx.Response(200, json=found)


def output(path: str, size: int = 10) -> dict[str, Any]:
    known = {"path": path, "name": f"{ONE}/{path}", "job_id": ONE, "store": "s", "attempt": 1, "size": size}
    return {**known, "state": "final", "url": f"/api/v1/jobs/{ONE}/outputs/{path}"}


def test_every_field_of_the_job_is_an_attribute_and_nothing_else() -> None:
    server = Server({f"GET jobs/{ONE}": job(tags={"a": "b"}, exit_code=3)})
    found = run_sync(server, lambda gw: gw.job(ONE))
    for field in set(Job.model_fields) - {"outputs", "hold"}:
        assert getattr(found, field) == getattr(found.info, field)
    assert "exit_code" in dir(found)
    with pytest.raises(AttributeError, match="colour"):
        assert found.colour


def test_a_handle_shows_hostile_text_as_text() -> None:
    hostile = "<script>alert(1)</script>\x1b[2J"
    server = Server({f"GET jobs/{ONE}": job(name=hostile, message=hostile, case=hostile, target="<b>")})
    found = run_sync(server, lambda gw: gw.job(ONE))
    shown = found._repr_html_()
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "\x1b" not in shown + repr(found)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown


def test_a_notebook_gets_a_card_that_names_the_job() -> None:
    server = Server({f"GET jobs/{ONE}": job(name="lid")})
    found = run_sync(server, lambda gw: gw.job(ONE))
    (card,) = found._repr_mimebundle_().values()
    assert card == {"id": ONE, "name": "lid", "state": found.state, "target": found.target}


@both
def test_an_edit_is_refused_where_somebody_else_was_first(run: Callable[..., Any]) -> None:
    stale = httpx.Response(412, json=problem("precondition-failed", 412))
    server = Server({f"GET jobs/{ONE}": job(version=4), f"PATCH jobs/{ONE}": stale})

    def use(gw: Any) -> Any:
        if run is BOTH[0]:
            return gw.job(ONE).edit(name="x")

        async def go() -> Any:
            return await (await gw.job(ONE)).edit(name="x")

        return go()

    with pytest.raises(PreconditionFailed):
        run(server, use)
    assert server.asked[1].headers["if-match"] == '"4"'
    assert server.asked[1].headers["content-type"] == "application/merge-patch+json"
    assert len(server.asked) == 2


def test_waiting_shows_nothing_unless_it_is_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    half = {"value": 5, "min": 0, "max": 10, "unit": "s"}
    states = [job(), job(progress=half), job(progress=half), job(state="succeeded")]
    for progress in (False, True):
        server = Server({f"GET jobs/{ONE}": list(states)})
        run_sync(server, lambda gw, progress=progress: gw.job(ONE).wait(poll=0, progress=progress))
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.splitlines() == (
            ["11111111  running  50% (5 of 10 s)", "11111111  succeeded"] if progress else []
        )


def test_in_a_terminal_a_wait_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    hostile = Progress.model_validate({"value": 5, "max": 10, "unit": "[red]\x1b[2J"})
    with display(True) as shown:
        shown.job(Job.model_validate(job(progress=hostile)))
    assert "11111111 running" in terminal.getvalue()
    assert "[red]" in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        ({"value": 5, "max": 10, "unit": "s"}, "50% (5 of 10 s)"),
        ({"value": 12, "max": 10}, "100% (12 of 10)"),
        ({"value": 3, "min": 5, "max": 5}, "3 of 5"),
        ({"value": 0.25}, "25% (0.25 of 1)"),
    ],
)
def test_progress_is_told_in_words(progress: dict[str, Any], told: str) -> None:
    assert told_progress(Progress.model_validate(progress)) == told
    assert told_progress(None) == ""


def test_an_output_that_is_not_there_is_answered_with_those_that_are() -> None:
    page = {"prefix": "", "folders": [], "files": [output("VTK/a.vtk"), output("VTK/ab.vtk")]}
    server = Server({f"GET jobs/{ONE}": job(), f"GET jobs/{ONE}/outputs": page})
    assert run_sync(server, lambda gw: gw.job(ONE).outputs["VTK/a.vtk"]).path == "VTK/a.vtk"
    with pytest.raises(NotFound, match=r"no output 'VTK/b.vtk' \(there are VTK/a.vtk, VTK/ab.vtk\)"):
        run_sync(server, lambda gw: gw.job(ONE).outputs["VTK/b.vtk"])


CONTENT = bytes(range(200))


def ranged(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/outputs"):
        return httpx.Response(200, json={"prefix": "", "files": [output("f", len(CONTENT))]})
    if request.url.path.endswith(ONE):
        return httpx.Response(200, json=job())
    first, last = (int(n) for n in request.headers["range"].removeprefix("bytes=").split("-"))
    etag = '"2"' if request.headers.get("x-changed") else '"1"'
    return httpx.Response(206, content=CONTENT[first : last + 1], headers={"ETag": etag})


def test_an_open_output_is_read_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.client.job.BUFFER", 16)

    def use(gw: Any) -> None:
        with gw.job(ONE).outputs["f"].open() as stream:
            assert stream.read(3) == CONTENT[:3]
            assert stream.seek(-5, io.SEEK_END) == 195
            assert stream.read() == CONTENT[195:]
            assert stream.read() == b""
            stream.seek(100)
            assert stream.read(50) == CONTENT[100:150]
            with pytest.raises(ValueError):
                stream.seek(-1)

    run_sync(ranged, use)


def test_an_output_that_changes_while_it_is_read_is_refused() -> None:
    versions = iter(["1", "2"])

    def handler(request: httpx.Request) -> httpx.Response:
        found = ranged(request)
        if found.status_code == 206:
            found.headers["ETag"] = next(versions)
        return found

    def use(gw: Any) -> None:
        stream = gw.job(ONE).outputs["f"].open().raw
        stream.read(3)
        with pytest.raises(GatewayError, match="has changed"):
            stream.read(3)

    run_sync(handler, use)


def series(**values: Any) -> SeriesInfo:
    columns = [{"name": "t", "unit": "s"}, {"name": "p", "label": "Pressure"}]
    return SeriesInfo.model_validate({"name": "res", "file": "r.csv", "x": "t", "columns": columns, **values})


@both
def test_a_series_is_read_page_by_page_and_begins_anew_with_its_file(run: Callable[..., Any]) -> None:
    def rows(values: list[Any], following: int, **more: Any) -> dict[str, Any]:
        columns = [{"name": "t"}, {"name": "p"}]
        return {"name": "res", "columns": columns, "rows": values, "next": following, **more}

    pages = [rows([[0, 1]], 1), rows([[5, 6]], 1, reset=True), rows([[6, 7]], 2), rows([], 2, ended=True)]
    listed = {"items": [json.loads(series().model_dump_json())]}
    server = Server({f"GET jobs/{ONE}": job(), f"GET jobs/{ONE}/data": listed, f"GET jobs/{ONE}/data/res": pages})

    def use(gw: Any) -> Any:
        if run is BOTH[0]:
            return gw.job(ONE).data("res")

        async def go() -> Any:
            return await (await gw.job(ONE)).series("res")

        return go()

    found = run(server, use)
    # A page that begins anew under the same place is a page like any other.
    assert found.rows == [[5, 6], [6, 7]]
    assert found["p"] == [6, 7]


def test_a_series_that_is_not_there_is_answered_with_those_that_are() -> None:
    server = Server({f"GET jobs/{ONE}": job(), f"GET jobs/{ONE}/data": {"items": [series().model_dump(mode="json")]}})
    with pytest.raises(NotFound, match=r"'no' \(there are res\)"):
        run_sync(server, lambda gw: gw.job(ONE).data("no"))


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    made = Series(series(), ["t", "p"], [[0, 1]])
    with pytest.raises(MissingExtra, match=r"pandas is not installed .*science-gateway\[pandas\]"):
        made.to_pandas()
    with pytest.raises(MissingExtra, match=r"matplotlib is not installed .*science-gateway\[plot\]"):
        made.plot()


def test_a_series_hands_columns_to_pandas_and_lines_to_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = ModuleType("pandas")

    class DataFrame(dict[str, Any]):
        def set_index(self, name: str) -> Any:
            return {"index": self.pop(name), **self}

    pandas.DataFrame = DataFrame  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    made = Series(series(), ["t", "p"], [[0, 1], [1, None]])
    assert made.to_pandas() == {"index": [0, 1], "p": [1, None]}
    assert SeriesSet([made]).to_pandas() == {"res": {"index": [0, 1], "p": [1, None]}}

    drawn: list[Any] = []

    class Axes:
        def __getattr__(self, name: str) -> Any:
            return lambda *given, **named: drawn.append((name, *given, named))

    made.plot(Axes())
    assert ("plot", [0, 1], [1, None], {"label": "Pressure"}) in drawn
    assert ("set_xlabel", "t [s]", {}) in drawn
    with pytest.raises(KeyError, match="there are t, p"):
        made["x"]
    with pytest.raises(KeyError, match="there are res"):
        SeriesSet([made])["x"]


SWEEP = {
    "id": ONE,
    "version": 1,
    "name": "s",
    "owner": "o",
    "target": "t",
    "count": 2,
    "state": "running",
    "created_at": "2026-01-01T00:00:00Z",
    "links": {"self": "", "jobs": "", "table": ""},
}


@both
def test_a_sweep_is_waited_for_until_its_last_job_has_ended(run: Callable[..., Any]) -> None:
    states = [
        {**SWEEP, "counts": {"running": 2}},
        {**SWEEP, "state": "partly_failed", "counts": {"failed": 1, "running": 1}},
        {**SWEEP, "state": "partly_failed", "counts": {"failed": 1, "succeeded": 1}},
    ]
    server = Server({f"GET sweeps/{ONE}": states, "POST sweeps": SWEEP})

    def use(gw: Any) -> Any:
        if run is BOTH[0]:
            return gw.sweep("cavity", grid={"re": [1, 2]}, limit=1).wait(poll=0)

        async def go() -> Any:
            return await (await gw.sweep("cavity", grid={"re": [1, 2]}, limit=1)).wait(poll=0)

        return go()

    found = run(server, use)
    assert found.counts == {"failed": 1, "succeeded": 1}
    assert json.loads(server.asked[0].content) == {"grid": {"re": [1, 2]}, "limit": 1, "job": {"case": "cavity"}}
    assert server.asked[0].headers["idempotency-key"]
    assert repr(found) == "<sweep 11111111 's' 1 failed, 1 succeeded>"


def test_a_row_of_a_sweeps_table_keeps_values_that_are_called_like_its_own_columns() -> None:
    row = {"index": 0, "job_id": ONE, "values": {"re": 1, "state": "solid"}, "state": "failed", "created_at": 0}
    table = {"parameters": [], "items": [{**row, "created_at": "2026-01-01T00:00:00Z"}]}
    server = Server({f"GET sweeps/{ONE}": SWEEP, f"GET sweeps/{ONE}/table": table})
    (found,) = run_sync(server, lambda gw: gw.sweep_of(ONE).table())
    assert (found["re"], found["state"], found["values.state"]) == (1, "failed", "solid")
    assert Sweep.model_validate(SWEEP).count == 2


def test_filters_become_a_query() -> None:
    from datetime import UTC, datetime

    given = {"state": ["a", "b"], "tag": "x:y", "case": None, "created_after": datetime(2026, 1, 1, tzinfo=UTC)}
    made = query_of(given)
    assert made.pop("created_after").startswith("2026-01-01T") or made == {}
    assert made == {"state": "a,b", "tag": "x:y"}


def test_jobs_to_wait_for_may_be_handles() -> None:
    server = Server({f"GET jobs/{ONE}": job(), "POST jobs": job()})

    def use(gw: Any) -> None:
        gw.submit(command=["x"], after_success=gw.job(ONE), after_end=["other"])

    run_sync(server, use)
    sent = json.loads(server.asked[1].content)
    assert sent == {"command": ["x"], "after_success": [ONE], "after_end": ["other"]}

"""Flows: what is sent again, what is not, and how steps are carried out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from mock_gateway import BOTH
from scripted_gateway import job, problem

from gateway.client import Gateway, calls
from gateway.client.flow import (
    Emit,
    Flow,
    GatewayNotRunning,
    Pause,
    Request,
    Send,
    Walk,
    exchange,
    gather,
    through,
    work,
)
from gateway.errors import GatewayError, NotFound, TooManyRequests

ONE = "11111111-1111-4111-8111-111111111111"
both = pytest.mark.parametrize("run", BOTH)


def answers(flow: Flow[Any], *given: Any) -> tuple[list[Any], Any]:
    """Walk a flow with these answers; return its steps and its result. An exception is thrown into it."""
    walk, steps = Walk(flow), []
    waiting = list(given)
    while walk.step is not None:
        steps.append(walk.step)
        if isinstance(walk.step, Pause | Emit):
            walk.answer(None)
        elif isinstance(found := waiting.pop(0), Exception):
            walk.fail(found)
        else:
            walk.answer(found)
    return steps, walk.result


def response(status: int, value: Any = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=value, headers=named)


BUSY = response(429, problem("too-many-requests", 429), Retry_After="3")


def test_a_busy_gateway_is_given_the_time_that_it_asks_for() -> None:
    steps, found = answers(exchange(Request("GET", "/x")), BUSY, response(200, 1))
    assert [step for step in steps if isinstance(step, Pause)] == [Pause(3.0)]
    assert found.json() == 1


@pytest.mark.parametrize("asked", ["", "soon", "-1", "99999", "1.5", "²"])
def test_a_time_that_nobody_would_wait_is_not_waited(asked: str) -> None:
    busy = response(503, problem("target-unreachable", 503), **({"Retry_After": asked} if asked.isascii() else {}))
    with pytest.raises(GatewayError, match="why"):
        answers(exchange(Request("GET", "/x")), busy)


def test_patience_has_an_end() -> None:
    with pytest.raises(TooManyRequests):
        answers(exchange(Request("GET", "/x")), BUSY, BUSY, BUSY, BUSY)


def test_what_is_not_safe_to_repeat_is_repeated_only_where_it_was_never_sent() -> None:
    request = Request("POST", "/x", again=False)
    steps, found = answers(exchange(request), httpx.ConnectError("refused"), response(200, 1))
    assert sum(isinstance(step, Send) for step in steps) == 2
    assert found.json() == 1
    with pytest.raises(GatewayNotRunning):
        answers(exchange(request), httpx.ReadError("reset"))


def test_a_deletion_whose_answer_was_lost_is_not_told_as_missing() -> None:
    gone = response(404, problem("not-found", 404))
    answers(exchange(Request("DELETE", "/x")), httpx.ReadError("reset"), gone)
    with pytest.raises(NotFound):
        answers(exchange(Request("DELETE", "/x")), gone)


def test_what_a_flow_emits_can_be_changed_kept_back_and_gathered() -> None:
    def numbers() -> Flow[str]:
        for n in range(4):
            yield Emit(n)
        return "done"

    steps, result = answers(through(numbers(), lambda n: n * 10 if n % 2 else None))
    assert (steps, result) == ([Emit(10), Emit(30)], "done")
    assert answers(gather(numbers())) == ([], [0, 1, 2, 3])


def test_a_failure_reaches_the_flow_that_waits_for_it() -> None:
    def careful() -> Flow[str]:
        try:
            yield from work(lambda: None)
        except OSError as error:
            return str(error)
        return ""

    assert answers(through(careful(), lambda value: value), OSError("disk"))[1] == "disk"


@both
def test_the_token_and_the_address_are_those_of_the_gateway(run: Callable[..., Any]) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return response(200, job())

    assert run(handler, lambda gw: gw.job(ONE)).id == ONE
    assert str(seen[0].url) == f"http://gateway.test/api/v1/jobs/{ONE}"
    assert seen[0].headers["authorization"] == "Bearer secret"


@both
def test_a_gateway_that_never_answers_is_named(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.client.drivers.time.sleep", lambda _: None)
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        raise httpx.ConnectError("refused")

    with pytest.raises(GatewayNotRunning, match=r"http://gateway.test does not answer \(start it with"):
        run(handler, lambda gw: gw.job(ONE))
    assert len(asked) == 4


@both
@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"id": 1}'])
def test_an_answer_that_is_no_job_is_told_and_not_a_crash(run: Callable[..., Any], body: bytes) -> None:
    with pytest.raises(GatewayError, match="the gateway's answer is"):
        run(lambda _: httpx.Response(200, content=body), lambda gw: gw.job(ONE))


USES: list[tuple[str, Callable[[Any], Any]]] = [
    ("job", lambda gw: gw.job(ONE)),
    ("jobs", lambda gw: gw.jobs(limit=3, state=["running", "queued"], tag="a:b", created_after=None)),
    ("cancel", lambda gw: gw.cancel(ONE)),
    ("hold", lambda gw: gw.act(ONE, "hold")),
    ("delete", lambda gw: gw.delete(ONE)),
    ("patch", lambda gw: gw.patch(ONE, {"name": "x"}, version=3)),
    ("cancel_many", lambda gw: gw.cancel_many(["a"])),
    ("delete_many", lambda gw: gw.delete_many(state="failed")),
    ("submit", lambda gw: gw.submit(case="c", values={"a": 1}, stores="s", idempotency_key="k")),
    ("submit draft", lambda gw: gw.submit({"command": ["x"]}, name="n", draft=True, idempotency_key="k")),
    ("events", lambda gw: gw.events_after(ONE, 7)),
    ("log", lambda gw: gw.log(ONE, "stderr", -5)),
    ("outputs", lambda gw: gw.outputs(ONE, "VTK/", store="s")),
    ("targets", lambda gw: gw.targets()),
    ("stores", lambda gw: gw.stores()),
    ("cases", lambda gw: gw.cases()),
    ("check", lambda gw: gw.check_case("c", {"a": 1})),
]


@pytest.mark.parametrize("use", [use for _, use in USES], ids=[name for name, _ in USES])
def test_both_clients_send_the_very_same(use: Callable[[Any], Any]) -> None:
    told = []
    for run in BOTH:
        seen: list[tuple[str, str, bytes, dict[str, str]]] = []

        def handler(request: httpx.Request, seen: Any = seen) -> httpx.Response:
            kept = {k: v for k, v in request.headers.items() if k not in ("host", "user-agent", "connection")}
            seen.append((request.method, str(request.url), request.content, kept))
            single = {**job(), "values": {}, "prefix": "", "files": []}
            return response(200, single if "jobs/1" in str(request.url) or request.method == "POST" else {"items": []})

        with contextlib.suppress(GatewayError, KeyError):
            run(handler, use)
        told.append(seen)
    assert told[0] == told[1]
    assert len(told[0]) == 1


def test_a_stream_that_nobody_reads_to_its_end_is_closed() -> None:
    closed: list[bool] = []

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            while True:
                yield b"x"

        def close(self) -> None:
            closed.append(True)

    gateway = Gateway(
        "http://gateway.test", transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Endless()))
    )
    pieces = gateway.follow_log(ONE)
    assert next(pieces) == b"x"
    pieces.close()
    assert closed == [True]


def test_a_part_of_a_path_never_becomes_two() -> None:
    assert calls.job_path("../x", "logs", "a/b?c#d") == "/api/v1/jobs/..%2Fx/logs/a%2Fb%3Fc%23d"

"""The client against answers that a test wrote."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest
from scripted_gateway import Answering, job, problem, scripted

from gateway.client import Gateway, GatewayNotRunning
from gateway.errors import Conflict, ImageError, InvalidRequest, NotFound

ONE, TWO = "11111111-1111-4111-8111-111111111111", "11111111-2222-4222-8222-222222222222"


def hang_up(answering: Answering) -> None:
    answering.hang_up()


def page(*jobs: dict[str, object], cursor: str | None = None) -> object:
    return lambda answering: answering.json(200, {"items": list(jobs), "next_cursor": cursor})


def test_a_submission_whose_answer_is_lost_is_sent_again_under_the_same_key() -> None:
    with scripted(hang_up, hang_up, lambda a: a.json(202, job())) as server, Gateway(server.url, "t") as gateway:
        assert gateway.submit({"command": ["true"]}).id == ONE
    keys = {asked.headers["idempotency-key"] for asked in server.asked}
    assert len(server.asked) == 3
    assert len(keys) == 1
    assert {asked.body for asked in server.asked} == {server.asked[0].body}


def test_every_submission_has_a_key_of_its_own() -> None:
    with scripted(lambda a: a.json(202, job())) as server, Gateway(server.url, "t") as gateway:
        gateway.submit({})
        gateway.submit({})
        gateway.submit({}, idempotency_key="mine")
    first, second, third = (asked.headers["idempotency-key"] for asked in server.asked)
    assert first != second
    assert third == "mine"


def test_a_submission_waits_while_the_first_one_under_its_key_still_runs() -> None:
    busy = problem("conflict", 409)
    with scripted(lambda a: a.json(409, busy), lambda a: a.json(202, job())) as server:
        assert Gateway(server.url, "t").submit({}).id == ONE
    assert len(server.asked) == 2


def test_a_check_of_a_target_is_not_sent_again_by_itself() -> None:
    with scripted(hang_up) as server, pytest.raises(GatewayNotRunning):
        Gateway(server.url, "t").check_target("x")
    assert len(server.asked) == 1


def test_a_gateway_that_is_not_there_is_told_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(GatewayNotRunning, match="gateway serve"):
            Gateway(f"http://127.0.0.1:{taken.getsockname()[1]}", "t").job(ONE)


def test_the_token_goes_with_every_request_and_is_never_shown() -> None:
    with scripted(lambda a: a.json(200, job())) as server, Gateway(server.url, "secret") as gateway:
        gateway.job(ONE)
        assert "secret" not in repr(gateway)
    assert server.asked[0].headers["authorization"] == "Bearer secret"


def test_a_refused_specification_names_each_field() -> None:
    errors = [{"pointer": "#/command", "detail": "is missing"}, {"pointer": "#/env/A", "detail": "no"}]
    refused = problem("validation", 422, errors=errors)
    with scripted(lambda a: a.json(422, refused)) as server, pytest.raises(InvalidRequest) as caught:
        Gateway(server.url, "t").submit({})
    assert [(e.pointer, e.detail) for e in caught.value.errors] == [("#/command", "is missing"), ("#/env/A", "no")]
    assert caught.value.message == "why"


def test_jobs_are_read_page_by_page_up_to_the_limit() -> None:
    with scripted(page(job(ONE), cursor="c"), page(job(TWO))) as server, Gateway(server.url, "t") as gateway:
        assert [found.id for found in gateway.jobs(limit=2, state="running")] == [ONE, TWO]
    assert "cursor=c" in server.asked[1].path
    assert all("state=running" in asked.path for asked in server.asked)


def test_an_id_is_found_by_a_unique_beginning_and_by_last() -> None:
    with scripted(page(job(ONE), job(TWO))) as server, Gateway(server.url, "t") as gateway:
        assert gateway.resolve("11111111-2") == TWO
        assert gateway.resolve("11111111-2".upper()) == TWO
        assert gateway.resolve("@last") == ONE
        assert gateway.resolve(TWO) == TWO


@pytest.mark.parametrize(
    ("text", "reason"),
    [("1111", "could be any of 2 jobs"), ("9", "no job '9'"), ("", "no job ''")],
)
def test_an_id_that_means_no_job_or_several_is_refused(text: str, reason: str) -> None:
    with (
        scripted(page(job(ONE), job(TWO))) as server,
        Gateway(server.url, "t") as gateway,
        pytest.raises(NotFound, match=reason),
    ):
        gateway.resolve(text)


def test_last_without_any_job_is_refused() -> None:
    with scripted(page()) as server, pytest.raises(NotFound, match="no job yet"):
        Gateway(server.url, "t").resolve("@last")


def test_a_hostile_id_stays_one_part_of_the_path() -> None:
    with scripted(lambda a: a.json(404, problem("not-found", 404))) as server, pytest.raises(NotFound):
        Gateway(server.url, "t").cancel("../../healthz?x=")
    assert server.asked[0].path == "/api/v1/jobs/..%2F..%2Fhealthz%3Fx%3D/cancel"


def test_a_conflict_says_why() -> None:
    with (
        scripted(lambda a: a.json(409, problem("conflict", 409, "it has ended"))) as server,
        pytest.raises(Conflict, match="it has ended"),
    ):
        Gateway(server.url, "t").cancel(ONE)


def test_waiting_ends_with_the_job() -> None:
    states = [lambda a: a.json(200, job()), lambda a: a.json(200, job(state="failed"))]
    with scripted(*states) as server:
        assert Gateway(server.url, "t").wait(ONE, poll=0).state == "failed"
    assert len(server.asked) == 2


def test_waiting_gives_up_in_the_end() -> None:
    with scripted(lambda a: a.json(200, job())) as server, pytest.raises(TimeoutError, match="is running"):
        Gateway(server.url, "t").wait(ONE, timeout=0, poll=0)


def stream(text: str, *, whole: bool) -> object:
    content = text.encode()
    return lambda a: a.send(200, content, None if whole else len(content) + 99, Content_Type="text/event-stream")


def event(sequence: int, kind: str = "note") -> str:
    data = {"sequence": sequence, "job_id": ONE, "at": "2026-01-01T00:00:00Z", "kind": kind, "data": {}}
    return f"id: {sequence}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


def test_events_go_on_without_gap_or_repeat_when_the_stream_breaks() -> None:
    half = event(3)[:-3]
    answers = [
        stream(event(1) + ": heartbeat\n\n" + event(2) + half, whole=False),
        hang_up,
        stream(event(2) + event(3) + event(4), whole=True),
    ]
    with scripted(*answers) as server, Gateway(server.url, "t") as gateway:
        events = gateway.events(ONE)
        assert [next(events).sequence for _ in range(4)] == [1, 2, 3, 4]
        events.close()
    assert [asked.headers["last-event-id"] for asked in server.asked[:3]] == ["0", "2", "2"]


def test_events_of_a_job_that_is_not_there_are_refused() -> None:
    with scripted(lambda a: a.json(404, problem("not-found", 404))) as server, pytest.raises(NotFound):
        next(Gateway(server.url, "t").events(ONE))


def test_a_log_is_followed_until_the_job_has_ended_and_all_of_it_was_read() -> None:
    def part(text: bytes, start: int, promised: int | None = None) -> object:
        return lambda a: a.send(200, text, promised, X_Log_Offset=str(start))

    answers = [
        part(b"one ", 0, promised=99),  # the connection breaks
        part(b"two ", 4),  # the gateway ends, the job does not
        lambda a: a.json(200, job()),
        lambda a: a.json(503, problem("target-unreachable", 503)),
        part(b"three", 8),
        lambda a: a.json(200, job(state="succeeded")),
        part(b"", 13),
    ]
    with scripted(*answers) as server, Gateway(server.url, "t") as gateway:
        assert b"".join(gateway.follow_log(ONE)) == b"one two three"
    offsets = [asked.path.split("offset=")[1].split("&")[0] for asked in server.asked if "logs" in asked.path]
    assert offsets == ["0", "4", "8", "8", "13"]


def case_with(state: str, message: str | None = None) -> Callable[[Answering], None]:
    found = {"name": "c", "label": "C", "description": "", "version": "v", "families": [], "schema": {}, "data": []}
    return lambda a: a.json(200, {**found, "resources": {}, "image": {"state": state, "message": message}})


def test_an_image_is_built_once_and_waited_for() -> None:
    begun = lambda a: a.json(202, {"state": "building"})
    steps = [case_with("not_built"), begun, case_with("building"), case_with("built")]
    with scripted(*steps) as server, Gateway(server.url, "t") as gateway:
        assert gateway.build_case("c").image.state == "built"
        assert gateway.build_case("c").image.state == "built"
    assert [asked.method for asked in server.asked] == ["GET", "POST", "GET", "GET", "GET"]


def test_an_image_that_cannot_be_built_is_told_with_the_reason() -> None:
    begun = lambda a: a.json(202, {"state": "building"})
    failed = case_with("not_built", "no space left")
    with scripted(case_with("not_built"), begun, failed) as server, pytest.raises(ImageError, match="no space left"):
        Gateway(server.url, "t").build_case("c")

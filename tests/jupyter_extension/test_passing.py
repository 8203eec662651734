"""What passes between browser and gateway: addresses and headers, by rules without a network."""

from __future__ import annotations

import pytest

from gateway.api.openapi import document
from gateway.api.routes import ROUTES
from gateway.errors import InvalidRequest
from gateway.jobs import views
from science_gateway_jupyter import passing
from science_gateway_jupyter.passing import (
    ANSWER_HEADERS,
    REQUEST_HEADERS,
    SAFE_HEADERS,
    answer_headers,
    passed_address,
    request_headers,
    stream_address,
)

JOB = "0b6c2f0e-1d2a-4b3c-8d4e-5f6071829304"


def test_the_addresses_begin_where_the_gateways_do() -> None:
    assert passing.API == views.API


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/../../etc/passwd",
        "/api/v1/jobs/..",
        "/api/v1/jobs/./x",
        "/api/v1/jobs/%2e%2e/%2e%2e/metrics",
        "/api/v1/%2E%2E/metrics",
        "/api/v1/.%2e/metrics",
        "/api/v1/%2e",
        "/api/v1/%252e%252e/metrics",
        "/api/v1/%25252e%25252e%2fmetrics",
        "/api/v1/x%2f..%2f..%2fmetrics",
        "/api/v1/x%5c..%5cmetrics",
        "/api/v1/x\\..\\metrics",
        "/api/v1",
        "/api/v1/",
        "/api/v2/jobs",
        "/metrics",
        "//elsewhere.example.org/api/v1/jobs",
        "http://elsewhere.example.org/api/v1/jobs",
        "/api/v1/jobs#fragment",
        "/api/v1/jobs?x",
        "/api/v1/jobs HTTP/1.1",
        "/api/v1/jobs\r\nHost: elsewhere",
        "/api/v1/jobs\n",
        "/api/v1/jöbs",
        "/api/v1/" + "x" * 20_000,
    ],
)
def test_an_address_that_could_lead_elsewhere_does_not_pass(path: str) -> None:
    with pytest.raises(InvalidRequest):
        passed_address(path, "")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/jobs",
        f"/api/v1/jobs/{JOB}/outputs/VTK/a..b/.hidden/...x",
        f"/api/v1/jobs/{JOB}/outputs/VTK%2Fcavity_0.vtk",
        f"/api/v1/jobs/{JOB}/outputs/100%25.txt",
        f"/api/v1/jobs/{JOB}/outputs/a%0Ab%20%22%3Cscript%3E",
        f"/api/v1/jobs/{JOB}/outputs/(1)[2]@=+,;:!$&'*~",
        f"/api/v1/jobs/{JOB}/outputs/%C3%BC",
    ],
)
def test_an_address_passes_with_all_its_percent_signs(path: str) -> None:
    assert passed_address(path, "a=1&b=%20x") == f"{path}?a=1&b=%20x"


def test_parameters_that_are_meant_for_jupyter_do_not_reach_the_gateway() -> None:
    given = "limit=5&token=secret&_xsrf=2%7Cabc&no_track_activity=1&to%6ben=secret&1763750000000&q=7"
    assert passed_address("/api/v1/jobs", given) == "/api/v1/jobs?limit=5&q=7"
    assert passed_address("/api/v1/jobs", "1763750000000") == "/api/v1/jobs"


@pytest.mark.parametrize("query", ["a=\r\nX: y", "a b", "a#b", "a=ü", "a=<", "a=\\"])
def test_a_query_with_characters_that_no_query_has_does_not_pass(query: str) -> None:
    with pytest.raises(InvalidRequest):
        passed_address("/api/v1/jobs", query)


@pytest.mark.parametrize(
    "address",
    [
        "/api/v1/events",
        "/api/v1/events?after=12",
        f"/api/v1/jobs/{JOB}/events?after=3",
        f"/api/v1/jobs/{JOB}/logs/stdout?offset=5&follow=true",
        f"/api/v1/jobs/{JOB}/data/residuals%20p?follow=true&after=1",
    ],
)
def test_what_streams_may_be_opened(address: str) -> None:
    assert stream_address(address) == address


@pytest.mark.parametrize(
    "address",
    [
        None,
        7,
        "",
        "/api/v1/jobs",
        "/api/v1/eventsx",
        f"/api/v1/jobs/{JOB}",
        f"/api/v1/jobs/{JOB}/logs/stdout",
        f"/api/v1/jobs/{JOB}/logs/stdout?follow=false",
        f"/api/v1/jobs/{JOB}/logs/stdout?nofollow=true",
        f"/api/v1/jobs/{JOB}/data/x",
        f"/api/v1/jobs/{JOB}/data/../events",
        f"/api/v1/jobs/{JOB}/data/%2e%2e?follow=true",
        f"/api/v1/jobs/{JOB}/outputs/x?follow=true",
        f"/api/v1/jobs/{JOB.upper()}/events",
        "/api/v1/jobs/x/events",
        "http://elsewhere.example.org/api/v1/events",
        "//elsewhere.example.org/api/v1/events",
        "/api/v1/events#x",
        "/api/v1/events?a=\r\n",
        "/api/v1/events?" + "a" * 5000,
    ],
)
def test_nothing_else_is_streamed(address: object) -> None:
    with pytest.raises(InvalidRequest):
        stream_address(address)


def test_every_header_that_the_api_reads_or_sends_passes() -> None:
    described = document(ROUTES)
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    reads = {
        parameter["name"]
        for operation in operations
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header"
    }
    sends = {
        name
        for operation in operations
        for answer in operation["responses"].values()
        for name in answer.get("headers", ())
    }
    assert reads <= set(REQUEST_HEADERS)
    assert sends <= set(ANSWER_HEADERS) | set(SAFE_HEADERS)


def test_nothing_else_of_a_request_passes() -> None:
    given = {
        "Host": "jupyter.example.org",
        "Cookie": "a=b",
        "Authorization": "token secret",
        "X-XSRFToken": "x",
        "X-Forwarded-For": "10.0.0.1",
        "Referer": "https://jupyter.example.org/lab",
        "Origin": "https://jupyter.example.org",
        "User-Agent": "browser",
        "Connection": "upgrade",
        "Range": "bytes=0-1",
    }
    assert request_headers(given) == {"Range": "bytes=0-1", "Accept-Encoding": "identity"}


def test_nothing_else_of_an_answer_passes_and_every_answer_is_made_harmless() -> None:
    raw = [
        (b"Set-Cookie", b"a=b"),
        (b"Access-Control-Allow-Origin", b"*"),
        (b"Content-Security-Policy", b"default-src *"),
        (b"Refresh", b"0; url=https://elsewhere.example.org"),
        (b"Clear-Site-Data", b"*"),
        (b"WWW-Authenticate", b"Basic"),
        (b"Server", b"x"),
        (b"Transfer-Encoding", b"chunked"),
        (b"etag", b'"1"'),
        (b"Location", b"https://elsewhere.example.org/api/v1/jobs"),
        (b"Content-Disposition", 'attachment; filename="ü"'.encode("latin-1")),
        (b"X-Log-Size", b"7\x00"),
    ]
    assert answer_headers(raw, "/base/science-gateway") == {
        "ETag": '"1"',
        "Content-Disposition": 'attachment; filename="ü"',
        **SAFE_HEADERS,
    }
    assert answer_headers([(b"Location", b"/api/v1/jobs/7")], "/base/science-gateway")["Location"] == (
        "/base/science-gateway/api/v1/jobs/7"
    )

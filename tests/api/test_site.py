"""Targets, stores, health, metrics."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.api import site as site_functions
from gateway.jobs.board import TargetStatus
from gateway.model.job import Probe
from tests.api.conftest import Site

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


async def test_targets_are_shown_with_what_is_known_of_them(site: Site) -> None:
    await site.submit()
    site.gateway.board.set("cluster", TargetStatus("needs_login", "the key was refused", AT))
    engine = {
        "driver": None,
        "lease_expires_at": None,
        "budget": {
            "commands_per_minute": None,
            "channels": None,
            "connections_per_minute": None,
            "used": 0,
            "open": 0,
            "connections": 0,
            "processes": 1,
        },
    }
    here = engine | {
        "name": "here",
        "transport": "local",
        "scheduler": "direct",
        "runtime": "auto",
        "state": "unknown",
        "message": None,
        "observed_at": None,
        "live_jobs": 1,
    }
    cluster = engine | {
        "name": "cluster",
        "transport": "local",
        "scheduler": "slurm",
        "runtime": "auto",
        "state": "needs_login",
        "message": "the key was refused",
        "observed_at": "2026-01-02T03:04:05.000Z",
        "live_jobs": 0,
    }
    assert (await site.http.get("/api/v1/targets")).json() == {"items": [here, cluster], "next_cursor": None}
    assert (await site.http.get("/api/v1/targets/here")).json() == here
    assert (await site.http.get("/api/v1/targets/nowhere")).status_code == 404


async def test_stores_are_shown_without_where_they_are(site: Site) -> None:
    assert (await site.http.get("/api/v1/stores")).json() == {
        "items": [
            {"name": "disk", "kind": "directory", "layout": "prefix", "transfer": "auto"},
            {"name": "archive", "kind": "directory", "layout": "prefix", "transfer": "relay"},
        ],
        "next_cursor": None,
    }


async def test_a_check_of_a_target_answers_one_line_a_probe(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(target: object) -> list[Probe]:
        return [Probe(name="clock", status="warning", detail="9 s off", fix="start chrony")]

    monkeypatch.setattr(site_functions, "probe_target", check)
    answer = await site.http.post("/api/v1/targets/here/check")
    probe = {"name": "clock", "status": "warning", "detail": "9 s off", "fix": "start chrony"}
    assert answer.json() == {"items": [probe], "next_cursor": None}


async def test_health_readiness_and_metrics_are_told(site: Site) -> None:
    assert (await site.http.get("/healthz")).json() == {"status": "ok"}
    ready = (await site.http.get("/readyz")).json()
    assert (ready["status"], ready["database"], ready["driving"]) == ("ok", "ok", False)
    await site.submit()
    text = (await site.http.get("/metrics")).text
    assert 'gateway_jobs{state="accepted"} 1.0' in text
    assert 'gateway_jobs{state="running"} 0.0' in text
    assert "gateway_driving 0.0" in text

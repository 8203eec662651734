"""The one table of routes. Handlers, OpenAPI and the authorisation test are made from it.

Each module of functions brings its own part; a new one is added here.
"""

from __future__ import annotations

from gateway.api import (
    archives,
    cases,
    crates,
    documents,
    events,
    image_publications,
    images,
    jobs,
    outputs,
    people,
    reconciling,
    retention,
    site,
    sweeps,
    uploads,
    verbs,
    verification,
)
from gateway.api.route import Permission, Route

__all__ = ["ROUTES", "Permission", "Route"]

ROUTES: tuple[Route, ...] = (
    *jobs.ROUTES,
    *verbs.ROUTES,
    *cases.ROUTES,
    *images.ROUTES,
    *image_publications.ROUTES,
    *outputs.ROUTES,
    *events.ROUTES,
    *site.ROUTES,
    *people.ROUTES,
    *archives.ROUTES,
    *retention.ROUTES,
    *crates.ROUTES,
    *verification.ROUTES,
    *reconciling.ROUTES,
    *sweeps.ROUTES,
    *uploads.ROUTES,
    *documents.ROUTES,
)

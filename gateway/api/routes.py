"""The one table of routes. Handlers, OpenAPI and the authorisation test are made from it.

Each module of functions brings its own part; a new one is added here.
"""

from __future__ import annotations

from gateway.api import archives, cases, documents, events, jobs, outputs, people, site, sweeps, uploads, verbs
from gateway.api.route import Permission, Route

__all__ = ["ROUTES", "Permission", "Route"]

ROUTES: tuple[Route, ...] = (
    *jobs.ROUTES,
    *verbs.ROUTES,
    *cases.ROUTES,
    *outputs.ROUTES,
    *events.ROUTES,
    *site.ROUTES,
    *people.ROUTES,
    *archives.ROUTES,
    *sweeps.ROUTES,
    *uploads.ROUTES,
    *documents.ROUTES,
)

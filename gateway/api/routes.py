"""The one table of routes. Handlers, OpenAPI and the authorisation test are made from it.

Each module of functions brings its own part; a new one is added here.
"""

from __future__ import annotations

from gateway.api import documents, events, jobs, outputs, site
from gateway.api.route import Permission, Route

__all__ = ["ROUTES", "Permission", "Route"]

ROUTES: tuple[Route, ...] = (
    *jobs.ROUTES,
    *outputs.ROUTES,
    *events.ROUTES,
    *site.ROUTES,
    *documents.ROUTES,
)

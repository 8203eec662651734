"""The REST API: one table of routes, from which handlers, OpenAPI and the authorisation test are made."""

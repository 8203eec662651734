"""Finding transports, schedulers, runtimes and stores by their entry points.

A new one is one module and one line under ``[project.entry-points."gateway.<group>"]``, here or in another package.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol, cast

from pydantic import ValidationError

from gateway.errors import ConfigurationError, FieldError
from gateway.settings import PluginSettings, field_errors

GROUPS = ("transports", "schedulers", "runtimes", "stores")


class Plugin(Protocol):
    """What every plugin class has: the name used as ``kind`` and the model of its settings."""

    kind: str
    Settings: type[PluginSettings]


@cache
def known(group: str) -> dict[str, Any]:
    """Return the entry points of ``gateway.<group>`` by name, not yet imported."""
    return {point.name: point for point in entry_points(group=f"gateway.{group}")}


@cache
def load(group: str, kind: str) -> type[Plugin]:
    """Import the plugin class `kind` of `group`.

    Raises
    ------
    ConfigurationError
        There is none of that name; the message lists those there are.
    """
    point = known(group).get(kind)
    if point is None:
        raise ConfigurationError(f"{kind!r} is not one of {', '.join(sorted(known(group)))}")
    return cast(type[Plugin], point.load())


def read_settings(group: str, raw: dict[str, Any], place: str) -> tuple[type[Plugin], PluginSettings]:
    """Type a plugin's section by its own model.

    Parameters
    ----------
    place
        Dotted key of the section, for messages.

    Raises
    ------
    ConfigurationError
        The kind is missing or unknown, or a key is wrong; `errors` name each.
    """
    kind = raw.get("kind")
    try:
        if not isinstance(kind, str):
            raise ConfigurationError(f"needs one of {', '.join(sorted(known(group)))}")
        plugin = load(group, kind)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{place}.kind: {error.message}", [FieldError(f"{place}.kind", error.message)]
        ) from None
    try:
        return plugin, plugin.Settings.model_validate(raw)
    except ValidationError as error:
        raise ConfigurationError(f"{place} has mistakes", field_errors(error, place)) from None

"""Stores from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from gateway import plugins
from gateway.compute.transport.base import Transport
from gateway.errors import ConfigurationError, FieldError
from gateway.settings import GatewaySettings
from gateway.storage.stores.base import Store, StoreContext, StoreSettings


def build_store(name: str, raw: dict[str, Any], settings: GatewaySettings, targets: Mapping[str, Transport]) -> Store:
    """Return the store of a section ``[stores.<name>]``. Connects to nothing yet.

    Parameters
    ----------
    raw
        The section as it stands in the configuration.
    targets
        The transports of the configured targets, by the targets' names.

    Raises
    ------
    ConfigurationError
        A key is wrong, a secret is not there, or the section names a target that is not; names the key.
    """
    plugin, typed = plugins.read_settings("stores", raw, f"stores.{name}")
    kind = cast(type[Store], plugin)
    assert isinstance(typed, StoreSettings)
    target = getattr(typed, "target", None)
    if target is not None and target not in targets:
        mistake = FieldError(f"stores.{name}.target", f"there is no target named {target!r}")
        raise ConfigurationError(f"{mistake.pointer}: {mistake.detail}", [mistake])
    transport = targets[target] if target is not None else None
    context = StoreContext(
        name=name,
        data=settings.data_folder,
        transport=transport,
        username=transport.username if transport is not None else "",
        target=target,
        local_targets=frozenset(known for known, found in targets.items() if found.kind == "local"),
    )
    try:
        return kind(typed, context)
    except ConfigurationError as error:
        place = f"stores.{name}"
        raise ConfigurationError(
            f"{place}: {error.message}", error.errors or [FieldError(place, error.message)], hint=error.hint
        ) from None

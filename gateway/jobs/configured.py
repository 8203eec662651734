"""What a configuration names, made; and every mistake in it, where only that is asked."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from gateway import plugins
from gateway.compute.target import Target, absolute, build_target
from gateway.compute.transport.base import Transport
from gateway.db.database import check_url
from gateway.errors import ConfigurationError, FieldError
from gateway.images.signatures import image_key
from gateway.jobs.retention_rules import check_rules
from gateway.settings import Secret, Settings
from gateway.storage.factory import build_store
from gateway.storage.stores.base import Store
from gateway.urls import read_allowed

_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9._-]*)):([0-9]{1,5})\Z")


def make_data_folder(data: Path) -> None:
    """Make the data folder, for this account alone.

    Raises
    ------
    ConfigurationError
        It cannot be made or written.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"gateway.data: {data} cannot be made: {error.strerror}") from None
    if not os.access(data, os.W_OK | os.X_OK):
        raise ConfigurationError(f"gateway.data: {data} cannot be written by this account")


def build_targets(settings: Settings) -> dict[str, Target]:
    """Return the configured targets by name; raises `ConfigurationError`."""
    return {name: build_target(name, section, settings.gateway) for name, section in settings.targets.items()}


def build_accounts(settings: Settings) -> dict[str, Target]:
    """Return a target for each account of a person, by its lane (``target@person``); raises `ConfigurationError`."""
    return {
        f"{name}@{person}": build_target(name, section.for_account(person), settings.gateway, person)
        for name, section in settings.targets.items()
        for person in section.accounts
    }


def build_stores(settings: Settings, targets: Mapping[str, Target]) -> dict[str, Store]:
    """Return the configured stores by name; raises `ConfigurationError`."""
    transports = {name: target.transport for name, target in targets.items()}
    return {name: build_store(name, raw, settings.gateway, transports) for name, raw in settings.stores.items()}


def parse_listen(listen: str) -> tuple[str, int]:
    """Return address and port of ``gateway.listen``.

    Raises
    ------
    ConfigurationError
        It is not ``host:port``.
    """
    match = _LISTEN.match(listen)
    if match is None or int(match[3]) > 65535:
        detail = f"{listen!r} is not host:port, such as 127.0.0.1:8480"
        raise ConfigurationError(f"gateway.listen: {detail}", [FieldError("gateway.listen", detail)])
    return match[1] or match[2] or "", int(match[3])


def check_configuration(settings: Settings) -> list[FieldError]:
    """Return every mistake of a configuration that was read: plugins' sections, names, secrets, folders.

    Nothing is connected to and nothing is made.
    """
    mistakes: list[FieldError] = []
    with _noting(mistakes, "gateway.listen"):
        parse_listen(settings.gateway.listen)
    with _noting(mistakes, "gateway.allow_urls"):
        read_allowed(settings.gateway.allow_urls)
    with _noting(mistakes, "gateway.database"):
        check_url(settings.gateway.expand(settings.gateway.database))
    mistakes += [
        FieldError(f"gateway.cases.{number}", f"{folder} is not a folder")
        for number, folder in enumerate(settings.gateway.cases)
        if not folder.expanduser().is_dir()
    ]
    mistakes += check_rules(settings)
    transports: dict[str, Transport] = {}
    for name, section in settings.targets.items():
        with _noting(mistakes, f"targets.{name}"):
            target = build_target(name, section, settings.gateway)
            transports[name] = target.transport
            for key in ("workdir", "image_cache"):
                with _noting(mistakes, f"targets.{name}.{key}"):
                    absolute(getattr(target, key), "/home", f"targets.{name}.{key}")
        for person in section.accounts:
            with _noting(mistakes, f"targets.{name}.accounts.{person}"):
                build_target(name, section.for_account(person), settings.gateway, person)
    with _noting(mistakes, "image_publishing"):
        image_key(settings)
    mistakes += [
        FieldError(f"image_mirrors.{number}.store", "a store with the layout container has no place for images")
        for number, mirror in enumerate(settings.image_mirrors)
        if settings.stores[mirror.store].get("layout") == "container"
    ]
    for host, registry in settings.registries.items():
        mistakes += _secret_mistakes(registry, f"registries.{host}")
    for name, raw in settings.stores.items():
        place = f"stores.{name}"
        with _noting(mistakes, place):
            _, typed = plugins.read_settings("stores", raw, place)
            mistakes += _secret_mistakes(typed, place)
            named = getattr(typed, "target", None)
            if named is not None and named not in settings.targets:
                mistakes.append(FieldError(f"{place}.target", f"there is no target named {named!r}"))
    return mistakes


@contextlib.contextmanager
def _noting(mistakes: list[FieldError], place: str) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        mistakes += error.errors or [FieldError(place, error.message)]


def _secret_mistakes(value: object, place: str) -> list[FieldError]:
    """Look for every secret in a section and whether it is there; never returns one."""
    if isinstance(value, Secret):
        found: list[FieldError] = []
        with _noting(found, place):
            value.reveal()
        return found
    items: list[tuple[object, object]] = []
    if isinstance(value, BaseModel):
        items = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, Mapping):
        items = list(value.items())
    return [mistake for key, inner in items for mistake in _secret_mistakes(inner, f"{place}.{key}")]

"""Adding a target from the panel: look at a machine, show what it is, write it into gateway.toml."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from gateway.compute.adopt import Proposal, ShownKey, propose, write_target
from gateway.compute.check import check_target
from gateway.compute.target import build_target
from gateway.errors import ConfigurationError, Conflict, FieldError, HostKeyChanged, InvalidRequest
from gateway.model.base import Line, Model, Name
from gateway.settings import GatewaySettings, TargetSettings, field_errors

Host = Annotated[
    str, StringConstraints(pattern=r"^(?:[^\s@\x00-\x1f-][^\s@\x00-\x1f]{0,127}@)?[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$")
]
"""``alice@login.example.org``, a host, or an alias of ssh_config."""


class Wanted(Model):
    """What a person says about the machine.

    Attributes
    ----------
    accept_fingerprint
        Of the host key, as it was shown before; nothing is sent to a machine that shows another one.
    """

    host: Host
    port: int | None = Field(default=None, ge=1, le=65535)
    key_file: Line | None = Field(default=None, max_length=4096)
    agent: bool = False
    name: Name | None = None
    accept_fingerprint: Annotated[str, StringConstraints(pattern=r"^SHA256:[A-Za-z0-9+/=]{20,100}$")] | None = None


def read_wanted(body: Any) -> Wanted:
    """Type the body of a request; raises `InvalidRequest`."""
    try:
        return Wanted.model_validate(body)
    except ValidationError as error:
        mistakes = [FieldError("#/" + item.pointer.replace(".", "/"), item.detail) for item in field_errors(error)]
        raise InvalidRequest(mistakes) from None


async def look(wanted: Wanted, settings: GatewaySettings) -> dict[str, Any]:
    """Return the machine's host key; once that is accepted, also what the machine is.

    Raises
    ------
    InvalidRequest, Conflict, TargetUnreachable, LoginRefused
    """
    if wanted.accept_fingerprint is None:
        return {"key": _shown(await shown_key(wanted))}
    found = await proposal(wanted)
    try:
        target = build_target(found.name, TargetSettings.model_validate(found.section), settings)
    except ConfigurationError as error:
        raise InvalidRequest([FieldError("#", error.message)], error.message) from None
    try:
        probes = await check_target(target)
    finally:
        await target.close()
    return {
        "key": _shown(found.key),
        "name": found.name,
        "section": found.section,
        "notes": found.notes,
        "probes": [probe.model_dump(mode="json") for probe in probes],
    }


async def add(wanted: Wanted, file: Path) -> str:
    """Write the machine into the configuration and return the target's name.

    Raises
    ------
    InvalidRequest, Conflict, TargetUnreachable, LoginRefused
    """
    if wanted.accept_fingerprint is None:
        raise InvalidRequest([FieldError("#/accept_fingerprint", "the machine's fingerprint must be accepted")])
    found = await proposal(wanted)
    try:
        await asyncio.to_thread(write_target, file, found)
    except ConfigurationError as error:
        if any(item.detail == "is taken" for item in error.errors):
            raise Conflict(f"there is a target named {found.name!r} already", hint="choose another name") from None
        raise InvalidRequest([FieldError("#", error.message)], error.message) from None
    return found.name


async def shown_key(wanted: Wanted) -> ShownKey:
    """Ask a machine for its host key, and leave."""
    seen: list[ShownKey] = []

    async def refuse(key: ShownKey) -> bool:
        seen.append(key)
        return False

    try:
        await _propose(wanted, refuse)
    except HostKeyChanged:
        if not seen:
            raise
    return seen[0]


async def proposal(wanted: Wanted) -> Proposal:
    """Look at a machine that shows the accepted key."""
    seen: list[ShownKey] = []

    async def compare(key: ShownKey) -> bool:
        seen.append(key)
        return key.fingerprint == wanted.accept_fingerprint

    try:
        return await _propose(wanted, compare)
    except HostKeyChanged:
        if seen and seen[0].fingerprint != wanted.accept_fingerprint:
            raise Conflict(
                f"{seen[0].host} shows another key now: {seen[0].fingerprint}",
                hint="ask the site whether its key has changed before you accept it",
            ) from None
        raise


async def _propose(wanted: Wanted, confirm: Any) -> Proposal:
    try:
        return await propose(
            wanted.host,
            confirm,
            name=wanted.name,
            port=wanted.port,
            key_file=Path(wanted.key_file) if wanted.key_file else None,
            agent=wanted.agent,
        )
    except ConfigurationError as error:
        raise InvalidRequest([FieldError("#/host", error.message)], error.message) from None


def _shown(key: ShownKey) -> Mapping[str, Any]:
    return {"host": key.host, "fingerprint": key.fingerprint, "known": key.known}

"""Who may use which target and store, and as which account. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import FieldError
from gateway.settings import Settings


def lane_of(settings: Settings, target: str, owner: str) -> str:
    """Return what loop of the engine drives a person's jobs on a target: ``target``, or ``target@person``.

    The latter where the person has an account of their own there.
    """
    section = settings.targets.get(target)
    return f"{target}@{owner}" if section is not None and owner in section.accounts else target


def may_use_target(settings: Settings, target: str, owner: str) -> bool:
    """Say whether a person may see a target and run jobs there."""
    section = settings.targets.get(target)
    return section is not None and (section.people is None or owner in section.people)


def may_use_store(settings: Settings, store: str, owner: str) -> bool:
    """Say whether a person may see a store and put outputs there."""
    people = people_of_store(settings, store)
    return store in settings.stores and (people is None or owner in people)


def people_of_store(settings: Settings, store: str) -> frozenset[str] | None:
    """Return who may use a store; None for everybody."""
    named = settings.store_people.get(store)
    return None if named is None else frozenset(named)


def account_problem(settings: Settings, target: str, owner: str) -> FieldError | None:
    """Return what keeps a person without an account from a target that has no community account."""
    section = settings.targets.get(target)
    if section is None or not section.accounts_only or owner in section.accounts:
        return None
    detail = f'you have no account on {target}: an administrator adds [targets.{target}.accounts."{owner}"]'
    return FieldError("#/target", detail)


def visible(settings: Settings, names: Mapping[str, object], owner: str, *, stores: bool = False) -> list[str]:
    """Return those of `names` (targets, or stores) that a person may use, in their order."""
    allowed = may_use_store if stores else may_use_target
    return [name for name in names if allowed(settings, name, owner)]

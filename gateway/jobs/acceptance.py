"""Decides whether a specification can be carried out here, before anything is stored."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import ValidationError

from gateway.cases.requests import CaseRequests
from gateway.compute.target import Target
from gateway.compute.target_inputs import input_roots, target_path_problem
from gateway.db.jobs import NewStore
from gateway.errors import FieldError, InvalidRequest
from gateway.images.choosing import ImageChooser, pin
from gateway.jobs.image_checks import image_errors
from gateway.jobs.input_checks import InputSources
from gateway.jobs.pointers import find_bad_text, invalid_request, pointer
from gateway.model.specification import Input, JobSpecification, Output, StoreChoice
from gateway.people.access import account_problem, visible
from gateway.settings import Settings
from gateway.storage.filters import FilterError, OutputRule, find_collisions, plan_transfers
from gateway.storage.patterns import parse_pattern
from gateway.storage.stores.base import Store
from gateway.urls import UrlOpener

MAX_STARS = 2000
"""Of all patterns together: comparing each with each takes time with the square of their number."""


@dataclass(frozen=True)
class Accepted:
    """A specification that can be carried out, with its defaults filled in.

    Attributes
    ----------
    request
        What was asked for; with a case also the case's version, so that it gives the same when it is asked again.
    """

    specification: JobSpecification
    target: str
    stores: tuple[NewStore, ...]
    request: dict[str, Any]
    case: str | None
    case_version: str | None
    values: dict[str, Any]


class Acceptance:
    """Checks specifications against what this gateway has. Blocking, without effects."""

    def __init__(self, settings: Settings, targets: Mapping[str, Target], stores: Mapping[str, Store]) -> None:
        self.settings = settings
        self.targets = targets
        self.stores = stores
        self.urls = UrlOpener(settings.gateway.allow_urls)
        self.owner: str | None = None
        self.inputs: InputSources | None = None
        self.cases: CaseRequests | None = None
        self.images: ImageChooser | None = None

    def for_person(self, owner: str) -> Self:
        """Return the same with only those targets and stores that a person may use."""
        mine = copy.copy(self)
        mine.owner = owner
        mine.targets = {name: self.targets[name] for name in visible(self.settings, self.targets, owner)}
        mine.stores = {name: self.stores[name] for name in visible(self.settings, self.stores, owner, stores=True)}
        return mine

    def accept(self, body: Any) -> Accepted:
        """Check the body of ``POST /jobs``.

        Raises
        ------
        InvalidRequest
            Names every field that is wrong.
        """
        asked = read_specification(body)
        if asked.case is None:
            return self._accept(body, asked)
        if self.cases is None:
            raise InvalidRequest([FieldError("#/case", "this gateway has no cases")])
        compiled = self.cases.compile(body)
        try:
            accepted = self._accept(compiled.specification, read_specification(compiled.specification))
        except InvalidRequest as error:
            raise compiled.refusal(error) from None
        return replace(accepted, request=compiled.request)

    def _accept(self, body: dict[str, Any], specification: JobSpecification) -> Accepted:
        """Check a complete specification."""
        errors: list[FieldError] = []
        target = self._target(specification, errors)
        stores = self._stores(specification, body, errors)
        for number, item in enumerate(specification.inputs):
            errors += self._input_errors(number, item, target)
        if self.inputs is not None and self.owner is not None:
            errors += self.inputs.errors(specification, self.owner)
        errors += output_errors(specification)
        errors += self._image_errors(specification)
        specification, request = self._find_images(specification, body, target, errors)
        errors += image_errors(specification, self.settings, self.owner)
        if target is not None:
            errors += _target_errors(specification, target)
            if self.owner and (problem := account_problem(self.settings, target.name, self.owner)):
                errors.append(problem)
        if errors or target is None:
            raise InvalidRequest(errors)
        return Accepted(
            specification,
            target.name,
            stores,
            request,
            specification.case,
            specification.case_version,
            dict(specification.values),
        )

    def _find_images(
        self, specification: JobSpecification, body: dict[str, Any], target: Target | None, errors: list[FieldError]
    ) -> tuple[JobSpecification, dict[str, Any]]:
        """Put places of the catalogue where images are named, and the digests that are meant into the request."""
        if self.images is None or target is None:
            return specification, body
        choice, missing = self.images.choose(specification, target.name)
        errors += missing
        return choice.specification, pin(body, choice.pinned)

    def _image_errors(self, specification: JobSpecification) -> list[FieldError]:
        if specification.case is not None:
            return []
        image = [("#/image", specification.image)] if specification.image is not None else []
        asked = [*image, *((f"#/tools/{number}", tool) for number, tool in enumerate(specification.tools))]
        return [
            FieldError(f"{place}/digest", "is not an image that this gateway built")
            for place, item in asked
            if item.is_built and (self.cases is None or not self.cases.images.has(str(item.digest)))
        ]

    def _target(self, specification: JobSpecification, errors: list[FieldError]) -> Target | None:
        name = specification.target or self.settings.default_target
        if name is None:
            errors.append(FieldError("#/target", f"must be one of {_names(self.targets)}: there is no default"))
            return None
        if name not in self.targets:
            errors.append(FieldError("#/target", f"is not a target of this gateway ({_names(self.targets)})"))
        return self.targets.get(name)

    def _input_errors(self, number: int, item: Input, target: Target | None) -> list[FieldError]:
        if item.url is not None and (problem := self.urls.problem(item.url)):
            return [FieldError(f"#/inputs/{number}/url", problem)]
        if item.target_path is not None and target is not None:
            problem = target_path_problem(item.target_path, input_roots(target))
            return [FieldError(f"#/inputs/{number}/target_path", problem)] if problem else []
        return []

    def _stores(self, specification: JobSpecification, body: Any, errors: list[FieldError]) -> tuple[NewStore, ...]:
        choices = specification.stores
        if not choices and self.settings.default_store is not None:
            choices = (StoreChoice(store=self.settings.default_store),)
        if not choices:
            errors.append(FieldError("#/stores", f"must name one of {_names(self.stores)}: there is no default"))
        found = []
        for number, choice in enumerate(choices):
            store = self.stores.get(choice.store)
            if store is None:
                place: list[str | int] = ["stores", number]
                if specification.stores and isinstance(body["stores"][number], dict):
                    place.append("store")
                detail = f"is not a store of this gateway ({_names(self.stores)})"
                errors.append(FieldError(pointer(place), detail))
                continue
            if choice.path is not None and choice.path.endswith("/"):
                errors.append(FieldError(f"#/stores/{number}/path", "must not end with '/'"))
            if choice.path is not None and store.settings.layout == "container":
                errors.append(
                    FieldError(f"#/stores/{number}/path", "this store has a container for each job, no paths")
                )
            found.append(NewStore(choice.store, choice.path, store.settings.transfer))
        return tuple(found)


def read_specification(body: Any) -> JobSpecification:
    """Type the body of ``POST /jobs``.

    Raises
    ------
    InvalidRequest
        Names every field that is wrong.
    """
    if not isinstance(body, dict):
        raise InvalidRequest([FieldError("#", "must be a JSON object: the job's specification")])
    if (place := find_bad_text(body)) is not None:
        raise InvalidRequest([FieldError(pointer(place), "must be valid Unicode")])
    try:
        return JobSpecification.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error, body, fields=JobSpecification.model_fields) from None


def output_errors(specification: JobSpecification) -> list[FieldError]:
    """Return what is wrong with the outputs and exclusions."""
    errors = []
    for number, pattern in enumerate(specification.exclude):
        try:
            parse_pattern(pattern)
        except FilterError as error:
            errors.append(FieldError(f"#/exclude/{number}", str(error)))
    exclude = () if errors else specification.exclude
    if specification.outputs is not None:
        errors += _rule_errors(specification.outputs, exclude, "#/outputs")
    for number, choice in enumerate(specification.stores):
        if choice.outputs is not None:
            errors += _rule_errors(choice.outputs, exclude, f"#/stores/{number}/outputs")
    return errors


def _rule_errors(outputs: Sequence[Output], exclude: Sequence[str], place: str) -> list[FieldError]:
    rules = [OutputRule(o.source, o.destination, o.content_type, o.follow, o.when) for o in outputs]
    errors = []
    for number, rule in enumerate(rules):
        for field, alone in (("source", OutputRule(rule.source)), ("destination", rule)):
            try:
                find_collisions([alone])
            except FilterError as error:
                errors.append(FieldError(f"{place}/{number}/{field}", str(error)))
                break
    if errors:
        return errors
    if sum(rule.source.count("*") for rule in rules) > MAX_STARS:
        return [FieldError(place, f"has more than {MAX_STARS} wildcards '*' in all")]
    try:
        plan_transfers(rules, exclude)
        return [FieldError(f"{place}/{found.second}", found.sentence) for found in find_collisions(rules)]
    except FilterError as error:
        return [FieldError(place, str(error))]


def _target_errors(specification: JobSpecification, target: Target) -> list[FieldError]:
    errors = []
    if specification.image is None and not target.allow_host:
        detail = "is needed: this target does not run jobs without a container"
        if specification.tools:
            detail += "; name the image that the script itself runs in, which may be one of the tools"
        errors.append(FieldError("#/image", detail))
    errors += _bind_errors(specification, target)
    for name in specification.resources.options:
        if problem := target.scheduler.option_problem(name):
            errors.append(FieldError(pointer(["resources", "options", name]), problem))
    try:
        target.scheduler.check(specification.resources)
    except InvalidRequest as error:
        known = {item.pointer for item in errors}
        errors += [item for item in error.errors if item.pointer not in known]
    return errors


def _bind_errors(specification: JobSpecification, target: Target) -> list[FieldError]:
    roots = [root.rstrip("/") for root in target.bind_roots]
    listed = ", ".join(target.bind_roots) or "none"
    return [
        FieldError(f"#/binds/{number}", f"is not below a folder that jobs may see on this target ({listed})")
        for number, bind in enumerate(specification.binds)
        if not any(f"{bind}/".startswith(f"{root}/") for root in roots)
    ]


def _names(known: Mapping[str, Any]) -> str:
    return ", ".join(sorted(known)) or "none is configured"

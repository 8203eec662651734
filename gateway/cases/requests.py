"""Requests for a job from a case: what the case and the values make of them. Blocking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.cases.case import Case
from gateway.cases.catalogue import Catalogue
from gateway.cases.compiling import compile_case, lay_over, place_errors
from gateway.cases.images import CaseImages
from gateway.cases.rendering import RenderError
from gateway.cases.values import complete
from gateway.errors import FieldError, InvalidRequest, NotFound


@dataclass(frozen=True)
class CompiledRequest:
    """A request with a case, compiled.

    Attributes
    ----------
    specification
        The whole of what is to be carried out, as JSON.
    request
        What was asked for, with the version of the case: asked again, it gives the same.
    """

    specification: dict[str, Any]
    request: dict[str, Any]
    case: Case

    def refusal(self, error: InvalidRequest) -> InvalidRequest:
        """Return a problem of the specification in the places of the request."""
        return place_errors(error.errors, self.request, self.specification, self.case)


class CaseRequests:
    """Compiles requests."""

    def __init__(self, catalogue: Catalogue, images: CaseImages) -> None:
        self.catalogue = catalogue
        self.images = images

    def compile(self, request: Mapping[str, Any]) -> CompiledRequest:
        """Compile a request whose form was checked, and which names a case.

        Raises
        ------
        InvalidRequest
            There is no such case, its image is not built, a value is wrong, or the request brings along what only
            the case can say. Every pointer is a place in the request.
        """
        case = self._find(request)
        values = complete(case.definition, request.get("values") or {})
        try:
            compiled = compile_case(case, values, self.images.specification(case))
        except RenderError as error:
            detail = f"the case {case.name} cannot be filled in with these values: {error.mistakes[0]}"
            raise InvalidRequest([FieldError("#/values", detail)]) from None
        return CompiledRequest(lay_over(compiled, request), {**request, "case_version": case.version}, case)

    def _find(self, request: Mapping[str, Any]) -> Case:
        name, version = request["case"], request.get("case_version")
        try:
            return self.catalogue.find(name, version)
        except NotFound as error:
            if version is None:
                known = ", ".join(case.name for case in self.catalogue.all()[:50]) or "none is published"
                detail = f"is not a case of this gateway ({known})"
                raise InvalidRequest([FieldError("#/case", detail)]) from None
            detail = f"{error.message}; leave case_version out (or null) for the current one"
            raise InvalidRequest([FieldError("#/case_version", detail)]) from None

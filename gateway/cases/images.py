"""The images of cases: built here from recipes, or to be had elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol

from gateway.cases.case import Case
from gateway.cases.catalogue import Catalogue
from gateway.errors import FieldError, ImageError, InvalidRequest
from gateway.model.case import CaseBuild, CaseImage
from gateway.model.specification import Image


class FoundImage(Protocol):
    """An image that was built here."""

    @property
    def name(self) -> str:
        """Of its recipe."""

    @property
    def digest(self) -> str:
        """``sha256:…`` of the file."""


class BuiltImages(Protocol):
    """What builds and keeps images (`gateway.images.published`)."""

    def find(self, recipe: Path) -> FoundImage | None:
        """Return the image of a recipe, None where it is not built."""

    def by_digest(self, digest: str) -> FoundImage | None:
        """Return the image with a digest."""

    def state(self, recipe: Path) -> Literal["built", "not_built", "building"]:
        """Say whether it is there."""

    def message(self, recipe: Path) -> str | None:
        """Return what the build said last."""

    def begin_build(self, recipe: Path) -> Literal["built", "not_built", "building"]:
        """Build it beside what else goes on."""


class CaseImages:
    """Finds the image of each version of a case. Blocking, but for `begin_build`."""

    def __init__(self, catalogue: Catalogue, built: BuiltImages) -> None:
        self.catalogue = catalogue
        self.built = built

    def specification(self, case: Case) -> dict[str, Any]:
        """Return the image as a job's specification has it.

        Raises
        ------
        InvalidRequest
            It is not built yet; says how to build it.
        """
        recipe = self.catalogue.recipe(case)
        if recipe is None:
            assert isinstance(case.definition.image, Image)
            return case.definition.image.model_dump(mode="json")
        try:
            found = self.built.find(recipe)
            state = "built" if found else self.built.state(recipe)
        except ImageError as error:
            raise InvalidRequest([FieldError("#/case", f"its image cannot be had: {error.message}")]) from None
        if found is None and state == "building":
            raise InvalidRequest([FieldError("#/case", "its image is being built: try again when that is done")])
        if found is None:
            build = f"run: gateway cases build {case.name} (or POST /api/v1/cases/{case.name}/build)"
            raise InvalidRequest([FieldError("#/case", f"its image is not built yet; {build}")])
        return {"ref": f"built:{found.name}", "digest": found.digest}

    def has(self, digest: str) -> bool:
        """Say whether an image was built here."""
        return self.built.by_digest(digest) is not None

    def state(self, case: Case) -> CaseImage:
        """Return the image as lists show it."""
        recipe = self.catalogue.recipe(case)
        if recipe is None:
            assert isinstance(case.definition.image, Image)
            return CaseImage(state="remote", digest=case.definition.image.digest)
        try:
            found = self.built.find(recipe)
            if found is not None:
                return CaseImage(state="built", digest=found.digest)
            return CaseImage(state=self.built.state(recipe), message=self.built.message(recipe))
        except ImageError as error:
            return CaseImage(state="not_built", message=error.message)

    def begin_build(self, case: Case, recipe: Path | None) -> CaseBuild:
        """Begin to build; returns at once. For the event loop's thread."""
        if recipe is None:
            return CaseBuild(state="remote", message="the image is not built here")
        state = self.built.begin_build(recipe)
        return CaseBuild(state=state, message=self.built.message(recipe))

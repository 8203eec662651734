"""Whether the images that a job names can be had at all, and by its owner. Pure."""

from __future__ import annotations

from gateway.errors import FieldError
from gateway.images.references import OBJECTS, BadReference, ImageReference
from gateway.jobs.pointers import pointer
from gateway.model.specification import Image, JobSpecification
from gateway.settings import Settings


def image_errors(specification: JobSpecification, settings: Settings, owner: str | None) -> list[FieldError]:
    """Return what is wrong with the references of a job's image and tools.

    Parameters
    ----------
    owner
        Who asks; None: nobody in particular.
    """
    named: list[tuple[list[str | int], Image]] = [
        (["tools", number], tool) for number, tool in enumerate(specification.tools)
    ]
    if specification.image is not None:
        named.insert(0, (["image"], specification.image))
    found = []
    for place, image in named:
        if not image.is_named and (problem := _problem(image, settings, owner)):
            found.append(FieldError(pointer([*place, "ref"]), problem))
    return found


def _problem(image: Image, settings: Settings, owner: str | None) -> str | None:
    try:
        reference = ImageReference.parse(image.ref)
    except BadReference as error:
        return str(error)
    if image.manifest_digest is not None and not reference.in_registry:
        return "has no manifest: manifest_digest goes with docker:// and oras://"
    if image.manifest_digest is not None and reference.digest not in {None, image.manifest_digest}:
        return "names another manifest than manifest_digest"
    if reference.scheme in OBJECTS:
        return (
            f"{reference.scheme}:// is not fetched by this gateway: publish the image to one of its mirrors (gateway "
            "images publish) and name it by the catalogue, or give an https:// address (a signed one, for instance)"
        )
    section = settings.registries.get(reference.host) if reference.in_registry else None
    if section is not None and section.people is not None and owner not in section.people and owner is not None:
        return f"lies in {reference.host}, whose images are not for you on this gateway"
    return None

"""Recipes of container images: which Debian packages and which files a case needs."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated

import yaml
from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from gateway.errors import ImageError
from gateway.model.base import Model, Name


def _inside_image(value: str) -> str:
    path = PurePosixPath(value)
    if not path.is_absolute() or ".." in path.parts or str(path) != value or value == "/":
        raise ValueError("must be an absolute path without '..', '//' or a final '/'")
    return value


def _inside_case(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("must be a path inside the case's folder")
    return value


Package = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
ImagePath = Annotated[str, AfterValidator(_inside_image)]


class AddedFile(Model):
    """A file of the case's folder that the image gets."""

    source: Annotated[str, AfterValidator(_inside_case)]
    destination: ImagePath
    executable: bool = False


class Recipe(Model):
    """What an image is made of.

    Parameters
    ----------
    suite
        Debian suite, where the machine's package sources offer it; otherwise theirs is taken.
    packages
        Debian packages; what they depend on comes along.
    files, links
        Files added, and symbolic links (place -> what it points at).
    remove
        Patterns of paths left out: ``*`` stays within one folder, ``**`` does not. A folder goes with all
        below it.
    keep
        Patterns of paths that `remove` spares. What lies in a removed folder goes with it all the same.
    """

    name: Name
    suite: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
    packages: tuple[Package, ...] = Field(min_length=1)
    files: tuple[AddedFile, ...] = ()
    links: dict[ImagePath, ImagePath] = Field(default_factory=dict)
    remove: tuple[ImagePath, ...] = ()
    keep: tuple[ImagePath, ...] = ()


@lru_cache(maxsize=64)
def _parse(text: str) -> Recipe:
    """Read a recipe's text; kept, because each job of a sweep asks for the same one."""
    return Recipe.model_validate(yaml.safe_load(text))


def load_recipe(path: Path) -> Recipe:
    """Read a recipe. Raises `ImageError`, which names every mistake."""
    try:
        return _parse(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise ImageError(f"The recipe {path} cannot be read: {failure.strerror}.") from failure
    except (yaml.YAMLError, UnicodeDecodeError) as failure:
        raise ImageError(f"The recipe {path} is not YAML: {' '.join(str(failure).split())}.") from failure
    except ValidationError as failure:
        mistakes = "; ".join(
            f"{'.'.join(str(part) for part in error['loc']) or 'document'}: {error['msg']}"
            for error in failure.errors()
        )
        raise ImageError(f"The recipe {path} is wrong: {mistakes}.") from failure


def case_folder(recipe: Path) -> Path:
    """Answer the folder that a recipe's `source` paths start from: the one above ``image/``."""
    return recipe.resolve().parent.parent


def read_added_files(recipe: Recipe, folder: Path) -> dict[str, tuple[bytes, int]]:
    """Read the added files: place in the image -> (content, mode). Raises `ImageError`."""
    found: dict[str, tuple[bytes, int]] = {}
    for added in recipe.files:
        source = (folder / added.source).resolve()
        if not source.is_relative_to(folder.resolve()):
            raise ImageError(f"The recipe's file {added.source} lies outside the case's folder.")
        try:
            content = source.read_bytes()
        except OSError as failure:
            raise ImageError(f"The recipe's file {added.source} cannot be read: {failure.strerror}.") from failure
        found[added.destination] = (content, 0o755 if added.executable else 0o644)
    return found


def content_key(recipe: Recipe, files: dict[str, tuple[bytes, int]], **circumstances: str) -> str:
    """Answer 64 hexadecimal digits that change with anything that an image is made from."""
    digests = {place: [hashlib.sha256(content).hexdigest(), mode] for place, (content, mode) in files.items()}
    everything = {"recipe": recipe.model_dump(mode="json"), "files": digests, **circumstances}
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()

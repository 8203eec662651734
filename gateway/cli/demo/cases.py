"""The demo's runs of shipped cases: which one, with which values, and the image that is built for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway import templates
from gateway.cli.demo.places import Places
from gateway.cli.demo.screen import Screen
from gateway.images.published import PublishedImage, PublishedImages


@dataclass(frozen=True)
class DemoCase:
    """A case, and values with which it takes some ten seconds."""

    name: str
    values: Mapping[str, Any]

    def request(self, target: str) -> dict[str, Any]:
        """Return the body of ``POST /api/v1/jobs``."""
        return {
            "case": self.name,
            "values": dict(self.values),
            "target": target,
            "stores": ["results"],
            "sync": {"interval": 2, "settle": 1, "reserve": 30},
            "tags": {"study": "demo"},
        }

    def build(self, places: Places, screen: Screen) -> PublishedImage:
        """Build the image where no earlier demo has, and hand it to the demo's gateway.

        Raises
        ------
        ImageError
            It could not be built.
        """
        places.built_images.mkdir(parents=True, exist_ok=True)
        places.data.mkdir(mode=0o700)
        # The data go with each demo, the images stay.
        (places.data / "built-images").symlink_to(places.built_images)
        recipe = templates.folder() / "cases" / self.name / "image/recipe.yaml"
        images = PublishedImages(places.built_images)
        return asyncio.run(images.build(recipe, lambda sentence: screen.say("image", sentence)))


CASES = {
    "cavity": DemoCase("cavity", {"pace": 3}),
    "openfoam": DemoCase("openfoam-cavity", {"cells": 60, "delta_t": 0.001, "write_interval": 50}),
    "stirred-tank": DemoCase("stirred-tank", {"coolant_temperature": 305, "interval": 0.5, "pace": 1.5}),
}
"""By the word that ``make demo CASE=…`` takes."""

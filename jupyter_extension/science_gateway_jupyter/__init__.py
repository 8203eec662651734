"""Science Gateway in Jupyter: a server extension that speaks to a gateway, and the panel's prebuilt bundle."""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell Jupyter Server what to load."""
    from science_gateway_jupyter.app import ScienceGateway

    return [{"module": "science_gateway_jupyter", "app": ScienceGateway}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Tell ``jupyter labextension develop`` where the bundle is."""
    return [{"src": "labextension", "dest": "science-gateway-jupyterlab"}]

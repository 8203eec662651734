"""Python client of the gateway's API.

>>> from gateway.client import Gateway
>>> gw = Gateway()                                  # finds the running gateway
>>> job = gw.submit(case="cavity", values={"reynolds": 100})
>>> job.wait(progress=True).state
>>> print(job.outputs.tree())

`AsyncGateway` is the same for asyncio.
"""

from gateway.client.async_gateway import AsyncGateway
from gateway.client.async_job import AsyncJobHandle
from gateway.client.discovery import Endpoint, find_gateway
from gateway.client.gateway import Gateway, GatewayNotRunning
from gateway.client.job import JobHandle
from gateway.client.series import MissingExtra, Series, SeriesSet
from gateway.client.sweep import SweepHandle

__all__ = [
    "AsyncGateway",
    "AsyncJobHandle",
    "Endpoint",
    "Gateway",
    "GatewayNotRunning",
    "JobHandle",
    "MissingExtra",
    "Series",
    "SeriesSet",
    "SweepHandle",
    "find_gateway",
]

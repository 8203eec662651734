"""Python client of the gateway's API.

>>> from gateway.client import Gateway
>>> gateway = Gateway()                      # finds the running gateway
>>> job = gateway.submit({"command": ["cavity"], "image": …})
>>> gateway.wait(job.id).state
"""

from gateway.client.discovery import Endpoint, find_gateway
from gateway.client.gateway import Gateway, GatewayNotRunning

__all__ = ["Endpoint", "Gateway", "GatewayNotRunning", "find_gateway"]

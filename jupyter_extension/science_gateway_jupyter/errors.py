"""What can be wrong between Jupyter and a gateway; part of the gateway's one tree of exceptions."""

from __future__ import annotations

from gateway.errors import GatewayError


class GatewayAway(GatewayError):
    """The gateway did not answer, or its answer broke off; trying again later may work."""

    status, problem, title = 503, "gateway-unreachable", "The gateway does not answer"


class GatewayStarting(GatewayError):
    """The gateway in this Jupyter server is not ready yet."""

    status, problem, title = 503, "gateway-starting", "The gateway is starting"


class GatewayFailed(GatewayError):
    """The gateway in this Jupyter server could not be started; it is tried again by itself."""

    status, problem, title = 503, "gateway-failed", "The gateway could not be started"


class TokenNeeded(GatewayError):
    """The shared gateway wants a token, and there is none, or none that it takes."""

    status, problem, title = 401, "needs-token", "A token for the gateway is needed"


class UnexpectedAnswer(GatewayError):
    """Something answered that does not speak as a gateway does."""

    status, problem, title = 502, "gateway-answer", "The answer is not one of a gateway"

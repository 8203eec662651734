"""What the client does, written once for both clients: flows that ask for effects and never perform them.

A flow is a generator. It yields steps (send this request, wait so long, give this to the caller), is sent what came
of each, and returns its result. `gateway.client.drivers` carries steps out, with or without asyncio.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, cast

import httpx

from gateway.client.problems import raise_problem
from gateway.errors import GatewayError

T = TypeVar("T")

TRIES = 4
"""How often a request is sent that is safe to send again."""
LONGEST_PAUSE = 30.0
"""Seconds that a busy gateway may ask for between two tries."""


class GatewayNotRunning(GatewayError):
    """No gateway answers."""

    status, problem, title = 503, "not-running", "No gateway is running"


@dataclass(frozen=True)
class Request:
    """A request, before it is sent.

    Attributes
    ----------
    again
        Whether sending it twice does no harm, so that it is sent again after a lost answer.
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    again: bool = True


@dataclass(frozen=True)
class Send:
    """Send a request; the answer is sent back, whole."""

    request: Request


@dataclass(frozen=True)
class Open:
    """Send a request; the answer is sent back before its bytes. It takes the place of one opened before."""

    request: Request


@dataclass(frozen=True)
class Read:
    """Read on in what was opened; some bytes are sent back, none at the end."""


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Do something that takes its time on this machine, such as reading a file; its result is sent back."""

    do: Callable[[], Any]


@dataclass(frozen=True)
class Emit:
    """Give a value to whoever iterates."""

    value: Any


Step = Send | Open | Read | Pause | Work | Emit
Flow = Generator[Step, Any, T]


class Walk(Generic[T]):
    """A flow on its way: the step that it waits for (None at the end), and what came of it all."""

    def __init__(self, flow: Flow[T]) -> None:
        self._flow = flow
        self.step: Step | None = None
        self.result: T | None = None
        self._go(lambda: next(flow))

    def answer(self, value: Any) -> None:
        """Go on with what came of the step."""
        self._go(lambda: self._flow.send(value))

    def fail(self, error: Exception) -> None:
        """Go on with the step's failure."""
        self._go(lambda: self._flow.throw(error))

    def close(self) -> None:
        """Give it up."""
        self._flow.close()

    def _go(self, move: Callable[[], Step]) -> None:
        try:
            self.step = move()
        except StopIteration as end:
            self.step, self.result = None, end.value


def through(flow: Flow[T], change: Callable[[Any], Any]) -> Flow[T]:
    """Carry out a flow, emitting something else for what it emits; what is changed to None is kept back."""
    walk = Walk(flow)
    while (step := walk.step) is not None:
        try:
            if isinstance(step, Emit):
                changed = change(step.value)
                found = (yield Emit(changed)) if changed is not None else None
            else:
                found = yield step
        except Exception as error:  # the flow decides what a failure means
            walk.fail(error)
        else:
            walk.answer(found)
    return cast(T, walk.result)


def gather(flow: Flow[Any]) -> Flow[list[Any]]:
    """Carry out a flow and return what it emits."""
    found: list[Any] = []
    yield from through(flow, found.append)
    return found


def pause(seconds: float) -> Flow[None]:
    """Wait."""
    yield Pause(seconds)


def work(do: Callable[[], T]) -> Flow[T]:
    """Do something that would keep an event loop waiting."""
    return cast(T, (yield Work(do)))


def read() -> Flow[bytes]:
    """Read some bytes of what was opened; none at its end."""
    return cast(bytes, (yield Read()))


def open_answer(request: Request) -> Flow[httpx.Response]:
    """Open an answer whose bytes are read as they come; raises what a problem stands for."""
    headers = {"Accept-Encoding": "identity", **request.headers}
    response = cast(httpx.Response, (yield Open(replace(request, headers=headers))))
    raise_problem(response)
    return response


def exchange(request: Request) -> Flow[httpx.Response]:
    """Send a request; again where that is safe and the connection failed, or the gateway asks for patience.

    Raises
    ------
    GatewayNotRunning
        Nothing answers.
    GatewayError
        What the problem in the answer stands for.
    """
    for attempt in range(TRIES):
        last = attempt + 1 == TRIES
        try:
            response = cast(httpx.Response, (yield Send(request)))
        except httpx.TransportError as error:
            unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            if last or not (request.again or unsent):
                raise silent() from error
            yield Pause(0.2 * 2**attempt)
            continue
        if not last and (wanted := patience(response)) is not None:
            yield Pause(wanted)
            continue
        if attempt and request.method == "DELETE" and response.status_code == 404:
            return response  # the try before did it, and its answer was lost
        raise_problem(response)
        return response
    raise AssertionError


def patience(response: httpx.Response) -> float | None:
    """Return how long a busy gateway asks us to wait, None where it does not."""
    if response.status_code not in (429, 503):
        return None
    asked = response.headers.get("Retry-After", "")
    if not asked.isascii() or not asked.isdigit() or len(asked) > 6:
        return None
    return float(asked) if float(asked) <= LONGEST_PAUSE else None


def silent() -> GatewayNotRunning:
    """Return the error for a gateway that does not answer."""
    return GatewayNotRunning("the gateway does not answer", hint="start it with: gateway serve")


def deadline(timeout: float | None) -> Callable[[], bool]:
    """Return what says whether so many seconds have passed since now."""
    end = None if timeout is None else time.monotonic() + timeout
    return lambda: end is not None and time.monotonic() > end

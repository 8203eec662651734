"""When a scheduler believes that it could start a job, without submitting it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from gateway.compute.scheduler.base import Submission
from gateway.compute.target import Target
from gateway.errors import GatewayError, InvalidRequest, SubmissionRejected
from gateway.model.specification import JobSpecification

log = logging.getLogger(__name__)

PATIENCE = 15.0
"""Seconds that the scheduler gets to answer."""
_NAME = "gw-000000000000"


@dataclass(frozen=True)
class Estimate:
    """What the scheduler says: when it could start the job, or in its words why it would not take it.

    Neither is known where the scheduler cannot be asked, or did not answer.
    """

    start: datetime | None = None
    refusal: str | None = None


async def estimate(target: Target, specification: JobSpecification) -> Estimate:
    """Ask a target's scheduler about a job, in one remote command. Never raises for what the target does."""
    try:
        command = target.scheduler.estimate(Submission(_NAME, "/", specification.resources))
        if command is None:
            return Estimate()
        result = await target.transport.run(command.line(), timeout=PATIENCE)
        return Estimate(start=command.parse(*result.text()))
    except (SubmissionRejected, InvalidRequest) as error:
        return Estimate(refusal=error.message)
    except GatewayError as error:
        log.info("target %s: no estimated start: %s", target.name, error)
        return Estimate()


async def estimated_start(target: Target, specification: JobSpecification) -> datetime | None:
    """Return when the target's scheduler believes that it could start a job; None where it does not say."""
    return (await estimate(target, specification)).start

"""How long the engine waits before it believes something."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds.

    Attributes
    ----------
    record_grace
        After the scheduler says that a job ended: how long its final record may still be on its way. NFS clients show
        a name that came on another machine up to 60 seconds late (``acdirmax``).
    withdrawn_grace
        After a cancel: how long a job that was never seen to begin may be unknown to the scheduler before that is its
        end. Its claim may hide as long as a record, but it was told to stop, and ends as cancelled either way.
    unseen_grace
        How long the scheduler may not know a job before its state is shown as ``unknown``.
    lost_grace
        How long, after that, before it is ``lost``.
    unreachable_grace
        How long a target may not answer before its jobs are shown as ``unknown``.
    submit_grace
        After a submission whose answer was lost: how long before the gateway submits again.
    cancel_grace
        How long a job that was asked to stop may take before the scheduler is told to end it.
    submit_timeout, poll_timeout
        For one remote command.
    rescue_delays
        Waits between tries to complete the outputs of an ended job.
    rescue_later
        After that, before the first, second … later try; the last one counts for all further ones.
    staging_delays
        Waits between tries to stage a job after something that may heal; after the last one the job fails.
    retry_delays
        Before the second, third … attempt at a job; the last one counts for all further ones.
    settle_tries
        How often finalising may fail unexpectedly before the job ends with the outputs that were proved until then.
    failure_pause
        After a tick, or work beside the ticks, that failed.
    idle_interval
        Between looks into the database while a target has no live job (another process may have stored one).
    lost_watch, lost_interval
        How long the records of a lost job are still looked at, and how often while nothing else is.
    clean_interval
        Between looks for folders of ended jobs that are to be removed.
    """

    record_grace: float = 75.0
    withdrawn_grace: float = 12.0
    unseen_grace: float = 15.0
    lost_grace: float = 120.0
    unreachable_grace: float = 30.0
    submit_grace: float = 30.0
    cancel_grace: float = 60.0
    submit_timeout: float = 120.0
    poll_timeout: float = 60.0
    stage_timeout: float = 600.0
    rescue_delays: tuple[float, ...] = (1.0, 5.0, 15.0, 30.0, 60.0)
    rescue_later: tuple[float, ...] = (120.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0)
    staging_delays: tuple[float, ...] = (3.0, 15.0)
    retry_delays: tuple[float, ...] = (5.0, 30.0, 120.0, 600.0)
    settle_tries: int = 5
    batch: int = 200
    failure_pause: float = 2.0
    idle_interval: float = 5.0
    lost_watch: float = 86400.0
    lost_interval: float = 60.0
    clean_interval: float = 60.0

"""Names of the moments between which the engine can be interrupted, by a kill or by a freeze.

`reached` does nothing. `testbed.failpoints` puts something else in its place before it starts a gateway; no setting
and no variable of the environment does.
"""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    """A moment in a job's life. Those that end in ``-ing`` lie inside a transaction, before its commit.

    Attributes
    ----------
    meaning
        What has happened by then, and what has not.
    """

    meaning: str

    def __new__(cls, name: str, meaning: str) -> Step:
        """Make a step of a name and a meaning."""
        made = str.__new__(cls, name)
        made._value_ = name
        made.meaning = meaning
        return made

    BEGINNING = "beginning", "The attempt has its submission's name, which nobody else can see yet."
    BEGUN = "begun", "Attempt and name are stored."
    PREPARED = "prepared", "Credentials, filters and script are made; nothing was sent."
    STAGED_THERE = "staged-there", "The target has the files; that is not written down."
    STAGED = "staged", "It is written down that the target has the files."
    SUBMITTING = "submitting", "That a submission is about to be sent is being written down."
    SUBMIT_NOTED = "submit-noted", "It is written down that a submission is about to be sent; nothing is sent yet."
    SUBMIT_ANSWERED = "submit-answered", "The scheduler has answered; the answer is in memory only."
    QUEUING = "queuing", "The scheduler's ids are being written down."
    SUBMITTED = "submitted", "The scheduler's ids are written down."
    ADOPTING = "adopting", "A submission whose answer was lost was found, and that is being written down."
    POLLED = "polled", "The target has said how its jobs are; nothing of it is written down."
    OBSERVING = "observing", "What the target said is being written down."
    OBSERVED = "observed", "What the target said is written down."
    CANCEL_DUE = "cancel-due", "Somebody's wish to cancel was seen; the target does not know of it."
    CANCEL_SENT = "cancel-sent", "Script and scheduler were told; that is not written down."
    RENEWED = "renewed", "The target has new credentials; that is not written down."
    RECORDS_READ = "records-read", "An ended attempt's records were read, and its credentials removed."
    NEXT_ATTEMPT = "next-attempting", "The next attempt is being stored."
    RESCUED = "rescued", "The gateway's own pass over the outputs is over; nothing was compared."
    PROVED = "proved", "The store's listing was compared; nothing is signed."
    SIGNED = "signed", "The signed manifest is in the store; the database does not know."
    PROOF_WRITTEN = "proof-written", "What was proved of a store is written down."
    RECORDS_KEPT = "records-kept", "The attempt's records are in the stores."
    ENDING = "ending", "The job's end is being written down."
    ENDED = "ended", "The job's end is written down."


def reached(step: Step) -> None:
    """Say that a moment has come. Nobody listens."""

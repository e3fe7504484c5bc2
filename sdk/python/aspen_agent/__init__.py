"""Client and worker of the Aspen agent on this machine. Needs nothing but the standard library."""

from .client import Client, LogChunk
from .errors import AspenError, AttemptStopped, NonRetryableError
from .worker import Attempt, Job, Worker

__all__ = [
    "AspenError",
    "Attempt",
    "AttemptStopped",
    "Client",
    "Job",
    "LogChunk",
    "NonRetryableError",
    "Worker",
]

"""What goes wrong, as the agent says it."""

from __future__ import annotations

from typing import Any, Mapping, Optional

_NAMES = {
    -32700: "PARSE_ERROR",
    -32600: "INVALID_REQUEST",
    -32601: "METHOD_NOT_FOUND",
    -32602: "INVALID_PARAMS",
}


class AspenError(Exception):
    """An answer that is no result.

    ``code`` is the name of the error (``CONFLICT``, ``NO_QUORUM``, ...); ``outcome`` says of a change whether it was ``not-applied`` for good
    or is ``unknown`` (asking again with the same request id is safe then); ``details`` is all else that the agent told.
    """

    def __init__(
        self,
        code: str,
        message: str,
        outcome: Optional[str] = None,
        details: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.outcome = outcome
        self.details: Mapping[str, Any] = details or {}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class NonRetryableError(Exception):
    """Raised by a handler whose failure another attempt would only repeat: the job is dead at once."""

    def __init__(self, message: str, code: str = "NON_RETRYABLE") -> None:
        super().__init__(message)
        self.code = code


class AttemptStopped(Exception):
    """The attempt is to end: the job was cancelled, it took too long, was silent for too long, its hold was lost, or the agent stops."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the attempt was stopped: {reason}")
        self.reason = reason


def error_of(answer: Any) -> AspenError:
    """The error object of a JSON-RPC response, all of it foreign."""
    fields = answer if isinstance(answer, dict) else {}
    data = fields.get("data")
    data = data if isinstance(data, dict) else {}
    number = fields.get("code")
    code = data.get("code") or _NAMES.get(number, "INTERNAL")
    message = fields.get("message")
    details = {key: value for key, value in data.items() if key not in ("code", "outcome")}
    return AspenError(str(code), str(message or "no message"), data.get("outcome"), details)

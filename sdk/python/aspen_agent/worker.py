"""A worker of the agent on this machine: runs jobs of the types it names, in threads of this process."""

from __future__ import annotations

import base64
import random
import threading
import time
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple, Union

from .connection import Connection, socket_path
from .errors import AspenError, AttemptStopped, NonRetryableError

# Characters or bytes of output in one message.
_PIECE = 2**17
_FAILED = -32000
_METHOD_NOT_FOUND = -32601
# Pauses before attaching again. Unit: seconds.
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0
# How long handlers that were stopped may take to notice. Unit: seconds.
_STOP_S = 2.0
# So many signs of life fit into the shortest silence that a job allows.
_BEATS = 3


class Job(NamedTuple):
    """The job, as its handler sees it."""

    id: str
    type: str
    payload: Any
    #: W3C trace context of whoever submitted it.
    traceparent: Optional[str]
    #: All that was asked for, in the words of ``job.get``; what is absent has its default.
    spec: Mapping[str, Any] = {}


class Attempt:
    """What a handler may know of its attempt, and say about it."""

    def __init__(self, connection: Connection, worker_id: str, request: Mapping[str, Any]) -> None:
        self._connection = connection
        self._worker_id = worker_id
        self.job_id: str = request["job"]["id"]
        #: 1 for the first.
        self.attempt: int = request["attempt"]
        #: Grows with every attempt of a job: whatever the job writes to should refuse a smaller one than it has seen.
        self.fencing_token: int = request["fencingToken"]
        #: Time that the attempt has from its start, in ms; None for no limit.
        self.deadline_ms: Optional[float] = request.get("deadlineMs")
        #: Of a job that runs on several nodes at once: ``{rank, size, peers}``; None otherwise.
        self.group: Optional[Mapping[str, Any]] = request.get("group")
        #: Set when the handler should end; nothing it returns afterwards is needed.
        self.stopped = threading.Event()
        #: Why: cancelled, timeout, heartbeat, lost or shutdown.
        self.reason: Optional[str] = None

    @property
    def name(self) -> Tuple[str, int]:
        """Job and number of the attempt."""
        return (self.job_id, self.attempt)

    def raise_if_stopped(self) -> None:
        """Raises AttemptStopped when the handler should end."""
        if self.stopped.is_set():
            raise AttemptStopped(self.reason or "lost")

    def sleep(self, seconds: float) -> None:
        """Sleeps, but not beyond the moment when the handler should end. Raises AttemptStopped then."""
        self.stopped.wait(seconds)
        self.raise_if_stopped()

    def progress(
        self,
        percent: Optional[float] = None,
        message: Optional[str] = None,
        counters: Optional[Mapping[str, float]] = None,
    ) -> None:
        """Tells how far it is, in percent and in words (1,024 characters) and counters (64); only the latest counts."""
        said = {"percent": percent, "message": message, "counters": counters}
        told = {key: value for key, value in said.items() if value is not None}
        self._connection.notify("worker.progress", {**self._params(), **told})

    def heartbeat(self) -> None:
        """A sign of life, for a job with a ``heartbeatTimeoutMs``; needed only where the worker's heartbeats are manual."""
        named = {**self._params(), "fencingToken": self.fencing_token}
        self._connection.notify("worker.heartbeat", {"workerId": self._worker_id, "attempts": [named]})

    def log(self, data: Union[str, bytes], stream: str = "stdout") -> None:
        """Output, as of a program. Returns when there is room for more; never raises."""
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            said = (
                {"data": piece}
                if isinstance(piece, str)
                else {"data": base64.b64encode(piece).decode(), "encoding": "base64"}
            )
            try:
                self._connection.request("worker.log", {**self._params(), "stream": stream, **said})
            except AspenError:
                return  # the attempt is over or the connection gone: nobody is there to read it

    def stop(self, reason: str) -> None:
        """Called by the worker when the handler should end; the first reason stays."""
        if not self.stopped.is_set():
            self.reason = reason
            self.stopped.set()

    def _params(self) -> Dict[str, Any]:
        return {"jobId": self.job_id, "attempt": self.attempt}


Handler = Callable[[Job, Attempt], Any]


class Worker:
    """Runs ``handlers`` (by type of job) in at most ``concurrency`` threads, for the agent at ``data_dir`` or ``socket``.

    What a handler returns is the job's result (plain data), what it raises fails the attempt: ``NonRetryableError`` for good; of any other
    error ``code``, ``retryable`` and ``exit_code`` are kept where it has them. The worker attaches again whenever its connection was lost.

    ``heartbeats``: ``automatic`` lets a thread of this library give the signs of life of jobs with a ``heartbeatTimeoutMs``, ``manual`` leaves
    them to the handlers, so that one that hangs is found out.

    ``on_settled`` is told what became of an attempt (``accepted`` is False where another one had taken its place), ``on_attached`` the name of
    the worker whenever it attached, ``on_detached`` that the connection was lost (None) or that attaching again failed (the error).

    Raises AspenError INVALID_PARAMS where neither ``data_dir`` nor ``socket`` is given, or ``heartbeats`` is something else.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        data_dir: Optional[str] = None,
        *,
        socket: Optional[str] = None,
        concurrency: int = 1,
        labels: Optional[Mapping[str, str]] = None,
        heartbeats: str = "automatic",
        on_settled: Optional[Callable[[Dict[str, Any]], None]] = None,
        on_attached: Optional[Callable[[str], None]] = None,
        on_detached: Optional[Callable[[Optional[AspenError]], None]] = None,
    ) -> None:
        if socket is None and data_dir is None:
            raise AspenError("INVALID_PARAMS", "give data_dir or socket")
        if heartbeats not in ("automatic", "manual"):
            raise AspenError("INVALID_PARAMS", f'heartbeats: "{heartbeats}" is neither automatic nor manual')
        self._path = socket if socket is not None else socket_path(str(data_dir))
        self._handlers = dict(handlers)
        self._concurrency = concurrency
        self._labels = dict(labels or {})
        self._is_beating = heartbeats == "automatic"
        self._on_settled = on_settled
        self._on_attached = on_attached
        self._on_detached = on_detached
        self._slots = threading.Semaphore(concurrency)
        self._changed = threading.Condition()
        self._attempts: Dict[Tuple[str, int], Attempt] = {}
        self._unsettled: Dict[Tuple[str, int], None] = {}
        self._connection: Optional[Connection] = None
        self._worker_id: Optional[str] = None
        self._closing = threading.Event()
        self._keeper: Optional[threading.Thread] = None

    @property
    def worker_id(self) -> Optional[str]:
        """The name under which it is attached now; None while it is not."""
        connection = self._connection
        return None if connection is None or connection.closed.is_set() else self._worker_id

    def __enter__(self) -> "Worker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Attaches. Raises AspenError UNAVAILABLE when no agent answers, CONFLICT when it was started before; as the agent answered."""
        if self._keeper is not None:
            raise AspenError("CONFLICT", "this worker was started before")
        self._attach()
        self._keeper = threading.Thread(target=self._stay_attached, name="aspen-worker", daemon=True)
        self._keeper.start()

    def run_forever(self) -> None:
        """Starts, and serves until the process is interrupted; then closes."""
        self.start()
        try:
            while not self._closing.wait(3600):
                pass
        except KeyboardInterrupt:
            self.close()

    def close(self, timeout: float = 30.0) -> None:
        """Takes nothing more, lets handlers finish, then detaches. What is not done in time is stopped, and runs elsewhere. Unit: seconds."""
        self._closing.set()
        connection = self._connection
        if connection is not None and not connection.closed.is_set():
            try:
                connection.request("worker.detach", {"workerId": self._worker_id}, timeout)
                if not self._is_idle_within(timeout):
                    self._stop_all("shutdown")
                    self._is_idle_within(_STOP_S)
            except AspenError:
                pass  # the agent is gone: so are the attempts
            connection.close()
        if self._keeper is not None:
            self._keeper.join()

    def _attach(self) -> None:
        connection = Connection(self._path, self._take)
        self._connection = connection
        params = {"types": list(self._handlers), "concurrency": self._concurrency, "labels": self._labels}
        try:
            self._worker_id = connection.request("worker.attach", params)["workerId"]
        except AspenError:
            connection.close()
            raise
        if self._on_attached is not None:
            self._on_attached(str(self._worker_id))

    def _stay_attached(self) -> None:
        while True:
            connection = self._connection
            assert connection is not None
            connection.closed.wait()
            self._forget_all()
            if self._closing.is_set():
                return
            self._tell_detached(None)
            if not self._attach_again():
                return

    def _attach_again(self) -> bool:
        pause = _FIRST_PAUSE_S
        while not self._closing.wait(random.uniform(0.5, 1.0) * pause):
            pause = min(_LONGEST_PAUSE_S, 2 * pause)
            try:
                self._attach()
                return True
            except AspenError as error:
                self._tell_detached(error)
        return False

    def _tell_detached(self, error: Optional[AspenError]) -> None:
        if self._on_detached is not None:
            self._on_detached(error)

    def _take(self, method: str, params: Dict[str, Any], request_id: Any) -> None:
        connection = self._connection
        assert connection is not None
        if method == "worker.execute":
            attempt = Attempt(connection, params["workerId"], params)
            with self._changed:
                self._attempts[attempt.name] = attempt
                self._unsettled[attempt.name] = None
            work = (connection, request_id, params["job"]["spec"], attempt)
            threading.Thread(target=self._execute, args=work, name=attempt.job_id, daemon=True).start()
        elif method == "worker.cancel":
            found = self._attempts.get((params["jobId"], params["attempt"]))
            if found is not None:
                found.stop(params["reason"])
        elif method == "worker.settled":
            with self._changed:
                self._unsettled.pop((params["jobId"], params["attempt"]), None)
                self._changed.notify_all()
            if self._on_settled is not None:
                self._on_settled(params)
        elif request_id is not None:
            data = {"code": "METHOD_NOT_FOUND"}
            said = f'a worker has no method "{method}"'
            connection.refuse(request_id, {"code": _METHOD_NOT_FOUND, "message": said, "data": data})

    def _execute(self, connection: Connection, request_id: Any, spec: Mapping[str, Any], attempt: Attempt) -> None:
        beats_over = self._beat(spec, attempt)
        try:
            with self._slots:  # those of a lost connection included
                attempt.raise_if_stopped()
                result = self._handler_of(spec["type"])(
                    Job(attempt.job_id, spec["type"], spec.get("payload"), spec.get("traceparent"), spec), attempt
                )
            connection.respond(request_id, result)
        except Exception as error:  # whatever a handler raises is the failure of its attempt
            connection.refuse(request_id, _failure_of(error))
        finally:
            beats_over.set()
            with self._changed:
                if self._attempts.get(attempt.name) is attempt:
                    del self._attempts[attempt.name]
                self._changed.notify_all()

    def _handler_of(self, type: str) -> Handler:
        handler = self._handlers.get(type)
        if handler is None:
            raise NonRetryableError(f'no handler for jobs of type "{type}"')
        return handler

    def _beat(self, spec: Mapping[str, Any], attempt: Attempt) -> threading.Event:
        """Gives signs of life until the returned event is set."""
        over = threading.Event()
        limit_ms = spec.get("heartbeatTimeoutMs")
        if limit_ms is None or not self._is_beating:
            return over

        def beat() -> None:
            while not over.wait(limit_ms / 1_000 / _BEATS):
                attempt.heartbeat()

        threading.Thread(target=beat, name="aspen-beat", daemon=True).start()
        return over

    def _is_idle_within(self, seconds: float) -> bool:
        connection = self._connection
        until = time.monotonic() + seconds
        with self._changed:
            while self._attempts or self._unsettled:
                left = until - time.monotonic()
                if left <= 0 or connection is None or connection.closed.is_set():
                    return False
                self._changed.wait(min(left, 0.5))
        return True

    def _stop_all(self, reason: str) -> None:
        with self._changed:
            attempts = list(self._attempts.values())
        for attempt in attempts:
            attempt.stop(reason)

    def _forget_all(self) -> None:
        """The agent has given back by now what came over the lost connection: its outcome is nobody's."""
        self._stop_all("lost")
        with self._changed:
            self._attempts.clear()
            self._unsettled.clear()
            self._changed.notify_all()


def _failure_of(error: BaseException) -> Dict[str, Any]:
    code = getattr(error, "code", None)
    data: Dict[str, Any] = {
        "code": code if isinstance(code, str) and code else "FAILED",
        "retryable": not isinstance(error, NonRetryableError) and getattr(error, "retryable", True) is not False,
    }
    exit_code = getattr(error, "exit_code", None)
    if isinstance(exit_code, int):
        data["exitCode"] = exit_code
    return {"code": _FAILED, "message": str(error) or type(error).__name__, "data": data}

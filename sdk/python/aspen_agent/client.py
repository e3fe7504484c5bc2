"""A client of the agent on this machine."""

from __future__ import annotations

import base64
import queue
import random
import secrets
import threading
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .connection import Connection, socket_path
from .errors import AspenError
from .methods import MUTATING_METHODS

# How long an agent that went away may take to come back. Unit: seconds.
_RECONNECT_S = 5.0
# Beyond what the agent was told to wait, so that its own answer wins. Unit: seconds.
_ANSWER_MARGIN_S = 2.0
# Notifications kept for a reader that is slower than the agent.
_NOTES_LIMIT = 10_000
# Their effect is that the agent goes or changes: asking again would be another request.
_NEVER_REPEATED = {"agent.stop", "mesh.leave", "mesh.join"}
# Subscriptions whose notes came before the answer that names them, or after their end.
_UNCLAIMED_LIMIT = 64
# Each attempt of a job has a span of its own in the offsets of the job's output. Unit: bytes.
_ATTEMPT_SPAN = 2**40

Json = Any
_Notes = queue.Queue  # of (method, params)


class LogChunk(NamedTuple):
    """A piece of a job's output."""

    #: ``stdout`` or ``stderr``.
    stream: str
    #: Of its first byte: ``(attempt - 1) * 2**40`` and its position in the output of the attempt. Offsets only grow.
    offset: int
    data: bytes

    @property
    def attempt(self) -> int:
        """Of which attempt; from the 8,192nd on, offsets do not tell later ones apart."""
        return self.offset // _ATTEMPT_SPAN + 1


class Client:
    """Calls methods of the socket, from any thread.

    When the connection breaks, calls connect again and repeat themselves; a call that changes something carries one request id over all its
    repetitions, so that it has its effect once. Give ``data_dir`` or ``socket``. Unit of all timeouts: seconds.

    Raises AspenError INVALID_PARAMS where neither is given, UNAVAILABLE (outcome ``not-applied``) where no agent answers. Answers are plain
    data with the names of the socket (``job["createdAtMs"]``); ``call("rpc.discover")`` describes all of it.
    """

    def __init__(
        self, data_dir: Optional[str] = None, *, socket: Optional[str] = None, timeout: float = 30.0
    ) -> None:
        if socket is None and data_dir is None:
            raise AspenError("INVALID_PARAMS", "give data_dir or socket")
        self._path = socket if socket is not None else socket_path(str(data_dir))
        self._timeout = timeout
        self._lock = threading.Lock()
        self._is_closed = False
        self._subscriptions: Dict[str, _Notes] = {}
        self._unclaimed: List[str] = []
        self._connection: Optional[Connection] = None
        self._connected()
        self.kv = Kv(self)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Calls that wait for an answer raise AspenError UNAVAILABLE; later ones do, too."""
        with self._lock:
            self._is_closed = True
            connection = self._connection
        if connection is not None:
            connection.close()

    def call(self, method: str, params: Optional[Dict[str, Json]] = None, timeout: Optional[float] = None) -> Json:
        """Calls a method of the socket. Raises AspenError as the agent answered; DEADLINE_EXCEEDED, UNAVAILABLE."""
        sent = dict(params or {})
        if method in MUTATING_METHODS:
            sent.setdefault("requestId", secrets.token_urlsafe(12))
        until = time.monotonic() + (self._timeout if timeout is None else timeout)
        give_up = time.monotonic() + _RECONNECT_S
        broken: Optional[AspenError] = None
        for tries in range(1_000_000):
            try:
                connection = self._connected()
            except AspenError:
                if broken is None:
                    raise
                if time.monotonic() > give_up:
                    raise broken from None
            else:
                try:
                    return connection.request(method, sent, max(0.0, until - time.monotonic()))
                except AspenError as error:
                    is_lost = connection.closed.is_set() and error.code == "UNAVAILABLE"
                    if not is_lost or method in _NEVER_REPEATED or self._is_closed:
                        raise
                    broken = error
            pause = random.uniform(0.5, 1.0) * min(0.5, 0.02 * 2**tries)
            time.sleep(min(pause, max(0.0, until - time.monotonic())))
            if time.monotonic() >= until:
                break
        raise AspenError("DEADLINE_EXCEEDED", f"{method}: no answer in time", "unknown")

    def submit(self, type: str, payload: Json = None, **spec: Json) -> Dict[str, Json]:
        """Submits a job; further fields of the spec as the socket names them (``queue=...``, ``retry={...}``).

        ``{id, durability, duplicate}`` once the job is durable; ``duplicate`` says that it was there already.

        Raises AspenError INVALID_PARAMS naming what does not fit, NO_QUORUM where nothing can be agreed: then nothing was submitted.
        """
        return self.call("job.submit", {"type": type, "payload": payload, **spec})

    def submit_many(self, jobs: List[Dict[str, Json]]) -> List[Dict[str, Json]]:
        """One result for each job, in order: ``{id, ...}`` or ``{error}``."""
        return self.call("job.submitMany", {"jobs": jobs})["results"]

    def get(self, id: str) -> Dict[str, Json]:
        """The job as the mesh knows it. Raises AspenError NOT_FOUND where there is none, or no longer."""
        return self.call("job.get", {"id": id})

    def wait(self, id: str, timeout: Optional[float] = None) -> Dict[str, Json]:
        """The job once it is final. Raises AspenError DEADLINE_EXCEEDED when it is not in time, NOT_FOUND."""
        limit = self._timeout if timeout is None else timeout
        return self.call("job.wait", {"id": id, "timeoutMs": int(limit * 1_000)}, limit + _ANSWER_MARGIN_S)

    def cancel(self, id: str, reason: Optional[str] = None) -> Dict[str, Json]:
        """Ends a job before it is final; the job, ``cancelling`` while an attempt of it still ends. Raises AspenError NOT_FOUND, CONFLICT."""
        return self.call("job.cancel", {"id": id} if reason is None else {"id": id, "reason": reason})

    def logs(self, id: str, *, follow: bool = False, from_offset: int = 0) -> Iterator[LogChunk]:
        """The output of a job, piece by piece, until the job is final where ``follow`` is set; a later attempt's begins anew.

        ``from_offset`` is where to go on: after a chunk, ``chunk.offset + len(chunk.data)``. Where the job runs again since then, its latest
        attempt is given from the beginning.

        Raises AspenError NOT_FOUND; UNAVAILABLE when the output ends early.
        """
        params = {"id": id, "follow": follow, "fromOffset": from_offset}
        for note in self._notes("job.logs", "job.logsStop", params):
            data, encoding = note["data"], note.get("encoding", "utf8")
            raw = base64.b64decode(data) if encoding == "base64" else data.encode()
            yield LogChunk(note["stream"], note["offset"], raw)

    def watch_jobs(self, **params: Json) -> Iterator[Dict[str, Json]]:
        """Changes of jobs from now on, or after a ``cursor``. Raises AspenError UNAVAILABLE when changes were missed."""
        return self._notes("job.watch", "job.watchStop", params)

    def _notes(self, method: str, stop_method: str, params: Dict[str, Json]) -> Iterator[Dict[str, Json]]:
        connection = self._connected()
        subscription = connection.request(method, params, self._timeout)["subscription"]
        notes = self._claimed(subscription)
        connection.on_close(lambda: self._put(subscription, "closed", {"reason": "the connection has closed"}))
        try:
            while True:
                name, note = notes.get()
                if name == "closed" or name.endswith("End"):
                    reason = note.get("reason")
                    if reason is None:
                        return
                    raise AspenError("UNAVAILABLE", f"the subscription ended: {reason}", "not-applied")
                yield note
        finally:
            with self._lock:
                self._subscriptions.pop(subscription, None)
            if not connection.closed.is_set():
                connection.ask(stop_method, {"subscription": subscription})

    def _claimed(self, subscription: str) -> "_Notes[Tuple[str, Dict[str, Any]]]":
        with self._lock:
            if subscription in self._unclaimed:
                self._unclaimed.remove(subscription)
            return self._subscriptions.setdefault(subscription, queue.Queue(_NOTES_LIMIT))

    def _put(self, subscription: str, method: str, params: Dict[str, Any]) -> None:
        """A full queue presses back: the connection is not read on until somebody takes from it, or nobody wants it any more."""
        with self._lock:
            notes = self._subscriptions.get(subscription)
            if notes is None:
                while len(self._unclaimed) >= _UNCLAIMED_LIMIT:
                    self._subscriptions.pop(self._unclaimed.pop(0), None)
                self._unclaimed.append(subscription)
                notes = self._subscriptions[subscription] = queue.Queue(_NOTES_LIMIT)
        while self._subscriptions.get(subscription) is notes:
            try:
                notes.put((method, params), timeout=0.25)
                return
            except queue.Full:
                if subscription in self._unclaimed:
                    return

    def _take(self, method: str, params: Dict[str, Any], request_id: Any) -> None:
        subscription = params.pop("subscription", None)
        if request_id is None and isinstance(subscription, str):
            self._put(subscription, method, params)

    def _connected(self) -> Connection:
        with self._lock:
            if self._is_closed:
                raise AspenError("UNAVAILABLE", "this client is closed", "not-applied")
            if self._connection is None or self._connection.closed.is_set():
                self._connection = Connection(self._path, self._take)
            return self._connection


class Kv:
    """Keys and values that the mesh agrees on. Keys have at most 1,024 bytes, values 1 MiB."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, key: str, **options: Json) -> Optional[Dict[str, Json]]:
        """``{value, revision, version, createRevision}``; None where the key is absent."""
        return self._client.call("kv.get", {"key": key, **options})

    def put(self, key: str, value: str, **options: Json) -> Dict[str, Json]:
        """``{revision}``; ``ttlMs=...`` or ``leaseId=...`` let the key end."""
        return self._client.call("kv.put", {"key": key, "value": value, **options})

    def delete(self, key: str) -> Dict[str, Json]:
        """``{deleted, revision}``; ``deleted`` is False where the key was absent."""
        return self._client.call("kv.delete", {"key": key})

    def cas(self, key: str, expected: Optional[str], value: Optional[str]) -> Dict[str, Json]:
        """``{swapped, current, revision}``; None expects no key, or deletes it."""
        return self._client.call("kv.cas", {"key": key, "expected": expected, "value": value})

    def scan(self, prefix: str, **options: Json) -> Dict[str, Json]:
        """``{entries, cursor?}`` in the order of keys, 1,000 unless ``limit=...`` says otherwise; with a cursor there is more."""
        return self._client.call("kv.scan", {"prefix": prefix, **options})

"""One connection to an agent: JSON-RPC 2.0 over a Unix socket, one value a line, requests both ways."""

from __future__ import annotations

import json
import os
import socket
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Callable, Dict, Optional

from .errors import AspenError, error_of

LINE_BYTES_LIMIT = 16 * 2**20
_READ_BYTES = 2**18
_REFUSED = {"code": -32601, "message": "a client has no such method", "data": {"code": "METHOD_NOT_FOUND"}}

# Takes (method, params, id); the id is None for a notification. A request is answered with `respond` or `refuse`.
Handler = Callable[[str, Dict[str, Any], Any], None]


def socket_path(data_dir: str) -> str:
    """Where the agent of that data directory listens."""
    return os.path.join(data_dir, "agent.sock")


class Connection:
    """Sends from any thread; what arrives is handled by a thread of its own, so handlers must not block it."""

    def __init__(self, path: str, handle: Optional[Handler] = None) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            message = f"no agent answers at {path}: {error.strerror or error}"
            raise AspenError("UNAVAILABLE", message, "not-applied") from error
        self._handle = handle
        self._lock = threading.Lock()
        self._pending: Dict[int, "Future[Any]"] = {}
        self._last_id = 0
        self.closed = threading.Event()
        self._on_close: Optional[Callable[[], None]] = None
        threading.Thread(target=self._read, name="aspen-read", daemon=True).start()

    def on_close(self, callback: Callable[[], None]) -> None:
        """Calls back once when the connection has closed; at once where it has."""
        with self._lock:
            if not self.closed.is_set():
                self._on_close = callback
                return
        callback()

    def ask(self, method: str, params: Optional[Dict[str, Any]] = None) -> "Future[Any]":
        """Sends a request; the future fails with AspenError."""
        answer: "Future[Any]" = Future()
        with self._lock:
            if self.closed.is_set():
                raise AspenError("UNAVAILABLE", "the connection has closed", "not-applied")
            self._last_id += 1
            request_id = self._last_id
            self._pending[request_id] = answer
        self._send({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params or {}})
        return answer

    def request(
        self, method: str, params: Optional[Dict[str, Any]] = None, timeout: Optional[float] = None
    ) -> Any:
        """Sends a request and waits. Unit of ``timeout``: seconds. Raises AspenError."""
        try:
            return self.ask(method, params).result(timeout)
        except FutureTimeout:
            message = f"{method}: no answer after {timeout} s"
            raise AspenError("DEADLINE_EXCEEDED", message, "unknown") from None

    def notify(self, method: str, params: Dict[str, Any]) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def respond(self, request_id: Any, result: Any) -> None:
        self._send({"jsonrpc": "2.0", "id": request_id, "result": result})

    def refuse(self, request_id: Any, error: Dict[str, Any]) -> None:
        self._send({"jsonrpc": "2.0", "id": request_id, "error": error})

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was first
        self._socket.close()

    def _send(self, message: Dict[str, Any]) -> None:
        line = json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode() + b"\n"
        if len(line) > LINE_BYTES_LIMIT:
            raise AspenError("RESOURCE_EXHAUSTED", f"a message of {len(line)} bytes is too long", "not-applied")
        try:
            with self._lock:
                self._socket.sendall(line)
        except OSError:
            self.close()  # whoever waits for an answer hears of it from the reading thread

    def _read(self) -> None:
        unread = bytearray()
        try:
            while True:
                chunk = self._socket.recv(_READ_BYTES)
                if not chunk or len(unread) > LINE_BYTES_LIMIT:
                    break
                unread += chunk
                *lines, rest = unread.split(b"\n") if b"\n" in chunk else (unread,)
                for line in lines:
                    if line.strip():
                        self._take(json.loads(line))
                unread = bytearray(rest)
        except (OSError, ValueError):
            pass  # cut, or not JSON: both end the connection
        finally:
            self._end()

    def _take(self, message: Any) -> None:
        if not isinstance(message, dict):
            return
        method = message.get("method")
        if isinstance(method, str):
            self._called(method, message)
            return
        with self._lock:
            answer = self._pending.pop(message.get("id"), None)
        if answer is None or not answer.set_running_or_notify_cancel():
            return
        if "error" in message:
            answer.set_exception(error_of(message["error"]))
        else:
            answer.set_result(message.get("result"))

    def _called(self, method: str, message: Dict[str, Any]) -> None:
        params = message.get("params")
        if self._handle is not None:
            self._handle(method, params if isinstance(params, dict) else {}, message.get("id"))
        elif "id" in message:
            self.refuse(message["id"], _REFUSED)

    def _end(self) -> None:
        self.close()
        with self._lock:
            self.closed.set()
            pending, self._pending = self._pending, {}
            callback, self._on_close = self._on_close, None
        for answer in pending.values():
            if answer.set_running_or_notify_cancel():
                answer.set_exception(AspenError("UNAVAILABLE", "the connection has closed", "unknown"))
        if callback is not None:
            callback()

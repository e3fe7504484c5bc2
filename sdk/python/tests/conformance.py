"""Plays the cases that every SDK has in common: ``python3 conformance.py CASES DATA_DIR``. One line of JSON for each case."""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any, Dict, Optional

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aspen_agent import AspenError, Attempt, AttemptStopped, Client, Job, NonRetryableError, Worker  # noqa: E402

UNTIL_S = 20.0


def echo(job: Job, _: Attempt) -> Any:
    return job.payload


def fail(_: Job, attempt: Attempt) -> Any:
    raise RuntimeError(f"attempt {attempt.attempt} fails")


def fail_once(job: Job, attempt: Attempt) -> Any:
    return fail(job, attempt) if attempt.attempt == 1 else job.payload


def fail_for_good(_: Job, __: Attempt) -> Any:
    raise NonRetryableError("never again")


def report(_: Job, attempt: Attempt) -> Any:
    attempt.progress(percent=50, message="half")
    attempt.log("hello\n")
    return {"attempt": attempt.attempt, "hasToken": attempt.fencing_token > 0}


def slow(_: Job, __: Attempt) -> Any:
    time.sleep(2)
    return None


def until_stopped(_: Job, attempt: Attempt) -> Any:
    attempt.stopped.wait()
    raise AttemptStopped(attempt.reason or "lost")


BEHAVIOURS = {
    "echo": echo,
    "fail": fail,
    "fail-once": fail_once,
    "fail-for-good": fail_for_good,
    "report": report,
    "slow": slow,
    "until-stopped": until_stopped,
}


class Play:
    def __init__(self, client: Client, data_dir: str) -> None:
        self.client = client
        self.data_dir = data_dir
        self.known: Dict[str, str] = {"run": secrets.token_hex(4)}
        self.worker: Optional[Worker] = None

    def filled(self, value: Any) -> Any:
        if isinstance(value, str):
            for name in sorted(self.known, key=len, reverse=True):
                value = value.replace(f"${name}", self.known[name])
            return value
        if isinstance(value, list):
            return [self.filled(part) for part in value]
        if isinstance(value, dict):
            return {self.filled(key): self.filled(part) for key, part in value.items()}
        return value

    def act(self, step: Dict[str, Any]) -> Any:
        if "call" in step:
            return self.client.call(step["call"], step.get("params"))
        if "submit" in step:
            return self.client.submit(**step["submit"])
        if "wait" in step:
            return self.client.wait(step["wait"])
        if "cancel" in step:
            return self.client.cancel(step["cancel"])
        if "logs" in step:
            text = b"".join(chunk.data for chunk in self.client.logs(step["logs"])).decode()
            require(text == step["text"], f"the output is {text!r}")
            return None
        if "worker" in step:
            handlers = {type: BEHAVIOURS[behaviour] for type, behaviour in step["worker"].items()}
            self.worker = Worker(handlers, self.data_dir, concurrency=4)
            self.worker.start()
            return None
        self.close()
        return None

    def check(self, step: Dict[str, Any]) -> None:
        try:
            answer = self.act(step)
        except AspenError as error:
            wanted = step.get("error")
            require(wanted is not None, str(error))
            said = {"code": error.code, "outcome": error.outcome}
            require(has(said, wanted), f"the error is {said}")
            return
        require("error" not in step, f"no error came, but {answer}")
        require(has(answer, step.get("result", {})), f"the answer is {json.dumps(answer)}")
        for name, field in step.get("save", {}).items():
            self.known[name] = answer[field]

    def do(self, step: Dict[str, Any]) -> None:
        until = time.monotonic() + (UNTIL_S if step.get("until") else 0)
        while True:
            try:
                return self.check(self.filled(step))
            except AssertionError:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.05)

    def close(self) -> None:
        if self.worker is not None:
            self.worker.close()
            self.worker = None


def require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def has(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return wanted == {} or (isinstance(value, dict) and all(has(value.get(key), part) for key, part in wanted.items()))
    return bool(value == wanted)


def main() -> None:
    cases = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with Client(sys.argv[2]) as client:
        for case in cases:
            play = Play(client, sys.argv[2])
            told: Dict[str, Any] = {"name": case["name"], "ok": True}
            try:
                for step in case["steps"]:
                    play.do(step)
            except Exception as error:  # noqa: BLE001: every failure is told, and fails the case
                told = {"name": case["name"], "ok": False, "error": f"{json.dumps(step)}: {error}"}
            finally:
                play.close()
            print(json.dumps(told), flush=True)


main()

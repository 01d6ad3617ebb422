"""Invoke functions in warm worker processes: one at a time each, and Maps over all of them."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from holdfast.errors import Transient

ROOT = Path(__file__).parents[2]
RETRY_SECONDS = 1.0
TRIES = 12


class InvocationFailed(Exception):
    """A function answered with an error that a state machine would not retry."""


class Worker:
    """One process that runs functions; *log* gets what they log."""

    def __init__(self, name: str, world: Path, programs: Path, log: Path) -> None:
        self.name = name
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.archive.worker", str(world)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                cwd=ROOT,
                env=_environment(programs),
            )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """
        Return the function's answer; transient errors are tried again as the state machines do.

        Raises `InvocationFailed` with the error's name and cause.
        """
        for attempt in range(TRIES):
            reply = self._ask(function, event)
            if "answer" in reply:
                return reply["answer"]
            if reply["error"] not in _TRANSIENT or attempt == TRIES - 1:
                break
            time.sleep(RETRY_SECONDS)
        raise InvocationFailed(f"{function} failed with {reply['error']}: {reply['cause']}")

    def warm_up(self) -> None:
        """Invoke every function once, for nothing."""
        self._ask("", {})

    def stop(self, *, at_once: bool = False) -> None:
        """Let the process end; *at_once* when nobody waits for what it does (a holder would hold on)."""
        if at_once:
            self._process.kill()
        with suppress(BrokenPipeError):
            self._pipes()[0].close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # Only now: while the process lives, another thread may be reading.
        self._pipes()[1].close()

    def _ask(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        to, back = self._pipes()
        to.write(json.dumps({"function": function, "event": event}) + "\n")
        to.flush()
        line = back.readline()
        if not line:
            raise InvocationFailed(f"The worker ended during {function}; its log says why.")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        to, back = self._process.stdin, self._process.stdout
        assert to is not None  # asked for above
        assert back is not None
        return to, back


class Scheduler:
    """*count* workers for steps and batches, and one more for the holder, which lives through a whole backup."""

    def __init__(self, world: Path, programs: Path, *, count: int) -> None:
        log = world / "functions.log"
        self._workers = [Worker(f"worker {number}", world, programs, log) for number in range(1, count + 1)]
        self.holder = Worker("holder", world, programs, log)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in (*self._workers, self.holder):
            worker.stop(at_once=error is not None)

    def warm_up(self) -> None:
        """Make every worker warm, side by side."""
        everybody = (*self._workers, self.holder)
        with ThreadPoolExecutor(len(everybody)) as pool:
            list(pool.map(lambda worker: worker.warm_up(), everybody))

    def processes(self) -> dict[str, int]:
        """Return the process ids by name."""
        return {worker.name: worker.pid for worker in (*self._workers, self.holder)}

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Invoke one function on the first worker."""
        return self._workers[0].invoke(function, event)

    def map(self, function: str, events: Iterable[dict[str, Any]]) -> float:
        """
        Invoke *function* for each of *events*, in their order, on whichever worker is free.

        Returns the seconds of the longest invocation.
        """
        left: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        for event in events:
            left.put(event)

        def work(worker: Worker) -> float:
            longest = 0.0
            while True:
                try:
                    event = left.get_nowait()
                except queue.Empty:
                    return longest
                begun = time.perf_counter()
                worker.invoke(function, event)
                longest = max(longest, time.perf_counter() - begun)

        with ThreadPoolExecutor(len(self._workers)) as pool:
            return max(done.result() for done in [pool.submit(work, worker) for worker in self._workers])


def _environment(programs: Path) -> dict[str, str]:
    """Return what a function's environment holds, with our client programs as the only PATH."""
    return {
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "PATH": str(programs),
        "PYTHONPATH": str(ROOT),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "eu-central-1",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_METRICS_NAMESPACE": "holdfast",
        "POWERTOOLS_TRACE_DISABLED": "true",
        "TZ": "UTC",
        **{name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"},
    }


def _names(kind: type[Exception]) -> set[str]:
    return {kind.__name__}.union(*(_names(each) for each in kind.__subclasses__()))


_TRANSIENT = _names(Transient)

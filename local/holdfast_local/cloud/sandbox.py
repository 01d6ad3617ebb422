"""One execution environment of a function: a process group, frozen between invocations."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from holdfast_local.cloud.function_spec import (
    INIT_SECONDS,
    MAX_RESPONSE_BYTES,
    MEGABYTE,
    FunctionSpec,
    Outcome,
    failure,
)
from holdfast_local.cloud.lambda_environment import Place, lambda_environment
from holdfast_local.cloud.packages import Packages
from holdfast_local.cloud.processes import peak_bytes, resident_bytes, signal_tree, tree
from holdfast_local.cloud.runtime_api import End, Event, RuntimeApi

Sink = Callable[[FunctionSpec, str, str], None]
"""Takes a function, a log stream's name and one line."""


class Sandbox:
    """
    Run a function's code as Lambda's managed Python runtime does.

    The code sees its own package, its layers and the runtime client; `TMPDIR` and `HOME` are a directory
    of its own. There is no `/opt` and no `/var/task` here: programs of a layer are found by PATH, code by
    LAMBDA_TASK_ROOT. Differences from AWS are listed in `functions`.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        *,
        home: Path,
        packages: Packages,
        runtime: Path,
        credentials: Mapping[str, str],
        sink: Sink,
    ) -> None:
        self.spec = spec
        self.idle_since = time.monotonic()
        self.busy = False
        self.stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{spec.version}]{home.name}"
        self.peak_bytes = 0
        self._home, self._sink = home, sink
        self._tail: deque[str] = deque(maxlen=200)
        self._closed = threading.Event()
        self._buried = False
        (home / "tmp").mkdir(parents=True)
        self._api = RuntimeApi(freeze=self._freeze, thaw=self._thaw)
        self._process = self._start(packages, runtime, credentials)
        threading.Thread(target=self._read_log, daemon=True, name=f"log-{spec.name}").start()

    @property
    def group(self) -> int:
        """The process group, which is also the first process's id."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether another event may be given to it."""
        return not self._closed.is_set() and self._process.poll() is None

    def invoke(self, request_id: str, body: bytes) -> Outcome:
        """
        Give *body* to the function and wait for its answer, at most as long as the function may take.

        Loading the code does not count towards the function's time, up to Lambda's 10 s.
        """
        self._tail.clear()
        self.busy = True
        self._note(f"START RequestId: {request_id} Version: {self.spec.version}")
        self._await_init()
        started = time.time()
        self._api.deliver(Event(request_id, body, started + self.spec.timeout_s, self.spec.arn))
        try:
            kind, answer = self._api.ends.get(timeout=self.spec.timeout_s)
        except queue.Empty:
            kind, answer = "timeout", b""
        outcome = self._judge(kind, answer, request_id)
        self._report(request_id, time.time() - started)
        if kind not in ("response", "error"):
            self.close()
        self.busy, self.idle_since = False, time.monotonic()
        return Outcome(outcome.payload, outcome.function_error, tuple(self._tail))

    def watch(self) -> None:
        """Notice that the function has ended by itself, or takes more memory than it may."""
        if self._process.poll() is not None:
            self._api.ends.put(("exit", str(self._process.returncode).encode()))
            self._closed.set()
        elif self.busy:
            self._watch_memory()

    def watch_storage(self) -> None:
        """Notice that the function has written more to its `/tmp` than it may."""
        used = _stored_bytes(self._home / "tmp")
        if self.busy and used > self.spec.tmp_mb * MEGABYTE:
            self._api.ends.put(("storage", str(used // MEGABYTE).encode()))

    def close(self) -> None:
        """End every process of the environment and remove its files; once, since process ids are used again."""
        self._closed.set()
        if self._buried:
            return
        self._buried = True
        signal_tree(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._api.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _start(self, packages: Packages, runtime: Path, credentials: Mapping[str, str]) -> subprocess.Popen[bytes]:
        spec = self.spec
        place = Place(
            task=packages.unpack(spec.package),
            layers=tuple(packages.unpack(layer) for layer in spec.layers),
            runtime=runtime,
            tmp=self._home / "tmp",
            log_stream=self.stream,
            runtime_api=self._api.address,
        )
        cache = self._home.parent.parent / "bytecode"
        return subprocess.Popen(
            [sys.executable, "-S", "-X", f"pycache_prefix={cache}", "-m", "awslambdaric", spec.handler],
            cwd=place.task,
            env={**lambda_environment(spec, place), **credentials, **spec.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _await_init(self) -> None:
        limit = time.monotonic() + INIT_SECONDS
        while not self._api.ready.wait(0.02) and time.monotonic() < limit:
            if not self._api.ends.empty() or self._process.poll() is not None:
                return

    def _judge(self, kind: End, answer: bytes, request_id: str) -> Outcome:
        if kind == "response" and len(answer) <= MAX_RESPONSE_BYTES:
            return Outcome(answer)
        if kind in ("error", "init"):
            return Outcome(answer, "Unhandled")
        error_type, message = self._platform_error(kind, answer)
        self._note(f"{request_id} {error_type} {message}")
        return failure(request_id, error_type, message)

    def _platform_error(self, kind: End, answer: bytes) -> tuple[str, str]:
        if kind == "response":
            size = f"Response payload size ({len(answer)} bytes) exceeded"
            return "Function.ResponseSizeTooLarge", f"{size} maximum allowed payload size (6291556 bytes)."
        if kind == "timeout":
            return "Sandbox.Timedout", f"Task timed out after {self.spec.timeout_s:.2f} seconds"
        if kind == "memory":
            return "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"
        if kind == "storage":
            held = f"TMPDIR held {answer.decode()} MB of {self.spec.tmp_mb} MB"
            return "Runtime.ExitError", f"{held}: no space left on device"
        return "Runtime.ExitError", f"Runtime exited with error: {_exit_text(answer)}"

    def _watch_memory(self) -> None:
        used = resident_bytes(tree(self._process.pid))
        self.peak_bytes = max(self.peak_bytes, used)
        if used > self.spec.memory_mb * MEGABYTE:
            self._api.ends.put(("memory", str(used // MEGABYTE).encode()))
            signal_tree(self._process.pid, signal.SIGKILL)

    def _report(self, request_id: str, seconds: float) -> None:
        spec = self.spec
        self.peak_bytes = max(self.peak_bytes, peak_bytes(self._process.pid))
        self._note(f"END RequestId: {request_id}")
        self._note(
            f"REPORT RequestId: {request_id}\tDuration: {seconds * 1000:.2f} ms\tMemory Size: {spec.memory_mb} MB\t"
            f"Max Memory Used: {self.peak_bytes // MEGABYTE} MB",
        )

    def _note(self, line: str) -> None:
        self._tail.append(line)
        self._sink(self.spec, self.stream, line)

    def _read_log(self) -> None:
        if self._process.stdout is None:
            return
        with self._process.stdout as lines:
            for raw in lines:
                self._note(raw.decode("utf-8", "replace").rstrip("\n"))

    def _freeze(self) -> None:
        signal_tree(self._process.pid, signal.SIGSTOP)

    def _thaw(self) -> None:
        signal_tree(self._process.pid, signal.SIGCONT)


def _stored_bytes(directory: Path) -> int:
    total = 0
    for folder, _, files in os.walk(directory):
        for file in files:
            try:
                total += os.lstat(os.path.join(folder, file)).st_blocks * 512  # noqa: PTH118 (hot loop)
            except OSError:
                continue
    return total


def _exit_text(answer: bytes) -> str:
    code = int(answer)
    return f"exit status {code}" if code >= 0 else f"signal: {signal.Signals(-code).name.removeprefix('SIG').lower()}"

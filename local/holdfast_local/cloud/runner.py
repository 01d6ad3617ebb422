"""Keep the execution environments of all functions: warm ones are used again, idle ones retired."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from holdfast_local.cloud.function_spec import FunctionSpec, Outcome
from holdfast_local.cloud.packages import Packages
from holdfast_local.cloud.runtime_files import provide_runtime
from holdfast_local.cloud.sandbox import Sandbox, Sink
from holdfast_local.cloud.undertaker import Undertaker

IDLE_SECONDS = 300.0
TICK_SECONDS = 0.05
SLOW_TICKS = 20


class Runner:
    """
    Invoke functions, each concurrent invocation in an environment of its own.

    *credentials* gives the environment variables of a function's role. How many may run at once is the
    server's to say (reserved and account concurrency); here is no limit.
    """

    def __init__(
        self,
        directory: Path,
        *,
        credentials: Callable[[FunctionSpec], Mapping[str, str]],
        sink: Sink,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._sandboxes = directory / "sandboxes"
        shutil.rmtree(self._sandboxes, ignore_errors=True)
        self._sandboxes.mkdir(parents=True)
        self._packages = Packages(directory / "packages")
        self._runtime = provide_runtime(directory / "runtime")
        self._credentials, self._sink, self._idle_seconds = credentials, sink, idle_seconds
        self._undertaker = Undertaker()
        self._lock = threading.Lock()
        self._idle: dict[str, list[Sandbox]] = {}
        self._all: set[Sandbox] = set()
        self._closing = threading.Event()
        threading.Thread(target=self._monitor, daemon=True, name="lambda-monitor").start()

    def invoke(self, spec: FunctionSpec, body: bytes, request_id: str) -> Outcome:
        """Run *spec* with *body*, in a warm environment when there is one."""
        key = spec.fingerprint(self._packages.digest)
        sandbox = self._take(key) or self._open(spec, key)
        try:
            return sandbox.invoke(request_id, body)
        finally:
            self._give_back(key, sandbox)

    def environments(self) -> int:
        """Count the execution environments that are alive."""
        with self._lock:
            return len(self._all)

    def close(self) -> None:
        """End every environment."""
        self._closing.set()
        with self._lock:
            open_ones, self._idle = list(self._all), {}
        for sandbox in open_ones:
            self._bury(sandbox)
        self._undertaker.close()

    def _take(self, key: str) -> Sandbox | None:
        with self._lock:
            pool = self._idle.get(key, [])
            while pool:
                sandbox = pool.pop()
                if sandbox.usable:
                    return sandbox
        return None

    def _open(self, spec: FunctionSpec, key: str) -> Sandbox:
        if self._closing.is_set():
            raise RuntimeError("the local cloud is going down")
        self._retire_other_code(spec, key)
        sandbox = Sandbox(
            spec,
            home=self._sandboxes / uuid.uuid4().hex,
            packages=self._packages,
            runtime=self._runtime,
            credentials=self._credentials(spec),
            sink=self._sink,
        )
        self._undertaker.watch(sandbox.group)
        with self._lock:
            self._all.add(sandbox)
        return sandbox

    def _give_back(self, key: str, sandbox: Sandbox) -> None:
        if sandbox.usable and not self._closing.is_set():
            with self._lock:
                self._idle.setdefault(key, []).append(sandbox)
        else:
            self._bury(sandbox)

    def _retire_other_code(self, spec: FunctionSpec, key: str) -> None:
        with self._lock:
            stale = [
                sandbox
                for other, pool in self._idle.items()
                if other != key
                for sandbox in pool
                if sandbox.spec.identity == spec.identity
            ]
            self._remove_idle(stale)
        for sandbox in stale:
            self._bury(sandbox)

    def _retire_idle(self) -> None:
        limit = time.monotonic() - self._idle_seconds
        with self._lock:
            stale = [s for pool in self._idle.values() for s in pool if s.idle_since < limit or not s.usable]
            self._remove_idle(stale)
        for sandbox in stale:
            self._bury(sandbox)

    def _remove_idle(self, stale: list[Sandbox]) -> None:
        gone = set(stale)
        self._idle = {
            key: kept
            for key, pool in self._idle.items()
            if (kept := [sandbox for sandbox in pool if sandbox not in gone])
        }

    def _bury(self, sandbox: Sandbox) -> None:
        sandbox.close()
        self._undertaker.forget(sandbox.group)
        with self._lock:
            self._all.discard(sandbox)

    def _monitor(self) -> None:
        tick = 0
        while not self._closing.wait(TICK_SECONDS):
            tick += 1
            with self._lock:
                watched = [sandbox for sandbox in self._all if sandbox.busy]
            for sandbox in watched:
                sandbox.watch()
                if tick % SLOW_TICKS == 0:
                    sandbox.watch_storage()
            if tick % SLOW_TICKS == 0:
                self._retire_idle()

"""Measure one step: wall clock, CPU of clients and server, each worker's peak memory, and what others took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.archive import machine

SAMPLE_SECONDS = 0.05


@dataclass(slots=True)
class Measured:
    """
    What a step took. Seconds, bytes, and CPU seconds.

    *peaks* are the most resident bytes of each worker with its children. *others_cpu* is what other processes
    took of the same cores meanwhile: where it is not small, the wall clock says little.
    """

    name: str
    wall: float = 0.0
    client_cpu: float = 0.0
    server_cpu: float = 0.0
    others_cpu: float = 0.0
    peaks: dict[str, int] = field(default_factory=dict)

    @property
    def peak(self) -> int:
        """Return the largest worker's peak, in bytes."""
        return max(self.peaks.values(), default=0)


class Meter:
    """Measures steps on *cores*, with the server whose first process is *server_pid*."""

    def __init__(self, cores: tuple[int, ...], server_pid: int, *, sample_seconds: float = SAMPLE_SECONDS) -> None:
        self._cores, self._server_pid, self._sample_seconds = cores, server_pid, sample_seconds

    @contextmanager
    def step(self, name: str, workers: Callable[[], dict[str, int]]) -> Iterator[Measured]:
        """Measure the block; *workers* gives the process ids to watch, by name."""
        measured = Measured(name)
        sampler = _Sampler(workers, self._sample_seconds)
        busy = machine.Busy.now(self._cores)
        server, own = machine.cpu_of_tree(self._server_pid), _own_cpu()
        sampler.start()
        begun = time.perf_counter()
        try:
            yield measured
        finally:
            measured.wall = time.perf_counter() - begun
            sampler.stop()
        measured.server_cpu = machine.cpu_of_tree(self._server_pid) - server
        measured.client_cpu += sampler.cpu
        measured.peaks = sampler.peaks
        all_of_it = machine.Busy.now(self._cores).seconds - busy.seconds
        ours = measured.server_cpu + measured.client_cpu + _own_cpu() - own
        measured.others_cpu = max(0.0, all_of_it - ours)


class _Sampler:
    """Watches process trees; every 50 ms, that costs the watching process about 2 per cent of a core."""

    def __init__(self, workers: Callable[[], dict[str, int]], every: float) -> None:
        self._workers, self._every = workers, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peaks: dict[str, int] = {}
        self._before = {name: machine.cpu_of_tree(pid) for name, pid in workers().items()}
        self.cpu = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End watching; the CPU of workers that still live is counted now."""
        self._over.set()
        self._thread.join()
        for name, pid in self._workers().items():
            self.cpu += machine.cpu_of_tree(pid) - self._before.get(name, 0.0)

    def _watch(self) -> None:
        over = False
        while not over:
            for name, pid in self._workers().items():
                self.peaks[name] = max(self.peaks.get(name, 0), machine.resident(pid))
            over = self._over.wait(self._every)


def _own_cpu() -> float:
    return time.process_time()

"""
Holdfast's side: its real functions, in the order of the state machines, invoked by a small scheduler.

What a state machine adds in AWS (a transition takes tens of milliseconds) and what starting a function costs the
first time are not in here: workers are warm, as the peer's programs are in the page cache.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.archive.measuring import Measured, Meter
from bench.archive.scheduler import InvocationFailed, Scheduler
from bench.archive.world import DATABASE, World
from holdfast.model.points import RecoveryPoint

_ACCOUNT = "arn:aws:states:eu-central-1:000000000000:execution"


@dataclass(slots=True)
class Steps:
    """
    How long each state took, in seconds; states that run side by side overlap.

    *longest* is the longest invocation of those that have several.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    longest: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Time the block as state *name*, adding to what it took before."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun


class Holdfast:
    """An empty archive of one database, and *workers* warm functions; leaving the `with` block ends them."""

    def __init__(self, root: Path, url: str, *, programs: Path, workers: int, meter: Meter) -> None:
        self._world = World.create(root, url, workers=workers)
        self._programs, self._workers, self._meter = programs, workers, meter
        self._point = ""
        self.cold_seconds = 0.0

    def __enter__(self) -> Self:
        begun = time.perf_counter()
        self._scheduler = Scheduler(self._world.root, self._programs, count=self._workers)
        self._scheduler.warm_up()
        self.cold_seconds = time.perf_counter() - begun
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scheduler.__exit__(kind, error, trace)

    @property
    def point(self) -> RecoveryPoint:
        """Return the recovery point as the catalogue knows it."""
        return self._world.points.get(self._point)

    @property
    def stored(self) -> int:
        """Return the bytes that the archive holds."""
        return self._world.archive.all_bytes()

    def back_up(self) -> tuple[Measured, Steps]:
        """Take a recovery point, up to the signed manifest; the holder lets go within its next look, unmeasured."""
        steps = Steps()
        holder = _Holder(self._scheduler, self._world)
        with self._meter.step("backup", self._scheduler.processes) as measured:
            with steps.of("start"):
                started = self._invoke("snapshot.start", {**self._execution("backup"), "database": DATABASE})
            self._point = started["point_id"]
            holder.begin(self._point)
            request = {"database": DATABASE, "point_id": self._point}
            with steps.of("plan"):
                planned = self._invoke("snapshot.plan", {**request, "concurrency": started["concurrency"]})
            with steps.of("dump"):
                steps.longest["dump"] = self._map("snapshot.dump", request, planned["items"])
            with steps.of("seal"):
                self._invoke("snapshot.seal", request)
        with steps.of("release, after the end"):
            holder.join()
        return measured, steps

    def verify(self) -> tuple[Measured, Steps]:
        """Read everything back and digest it."""
        steps = Steps()
        request = {"database": DATABASE, "point_id": self._point, "run": secrets.token_hex(8)}
        with self._meter.step("verify", self._scheduler.processes) as measured:
            with steps.of("plan"):
                planned = self._invoke("verify.plan", request)
            with steps.of("check"):
                steps.longest["check"] = self._map("verify.check", request, planned["items"])
            with steps.of("conclude"):
                verdict = self._invoke("verify.conclude", request)
        if not verdict["intact"]:
            raise InvocationFailed(f"The point is not intact: {verdict['reason']}")
        return measured, steps

    def restore(self, into: str) -> tuple[Measured, Measured, Steps]:
        """Restore into a new database, and prove it; returns what restoring took, and what proving took."""
        steps = Steps()
        asked = {**self._execution("restore"), "database": DATABASE, "point": self._point, "into": into}
        with self._meter.step("restore", self._scheduler.processes) as restored:
            with steps.of("assess"):
                assessed = self._invoke("restore.assess", asked)
            request = {"restore_id": assessed["restore_id"]}
            with steps.of("prepare"):
                self._prepare(request)
            with steps.of("load"):
                steps.longest["load"] = self._map("restore.load", {**request, "stage": "load"}, assessed["load"])
            for stage in assessed["finish"]:
                with steps.of(stage["name"]):
                    request_of_stage = {**request, "stage": stage["name"]}
                    steps.longest[stage["name"]] = self._map("restore.finish", request_of_stage, stage["items"])
        with self._meter.step("prove", self._scheduler.processes) as proven:
            with steps.of("prove"):
                steps.longest["prove"] = self._map("restore.prove", {**request, "stage": "prove"}, assessed["prove"])
            with steps.of("compare"):
                proof = self._invoke("restore.compare", request)
        if not proof["proven"]:
            raise InvocationFailed(f"The restored database is not proven: {proof['reason']}")
        self._invoke("restore.report", {**request, "execution": asked["execution"], "database": DATABASE})
        return restored, proven, steps

    def _prepare(self, request: dict[str, Any]) -> None:
        slice_ = 0
        while True:
            prepared = self._invoke("restore.prepare", {**request, "slice": slice_})
            if prepared["done"]:
                return
            slice_ = prepared["slice"]

    def _invoke(self, function: str, event: dict[str, Any]) -> Any:
        return self._scheduler.invoke(function, event)

    def _map(self, function: str, request: dict[str, Any], items: dict[str, Any]) -> float:
        body = self._world.scratch.read(items["key"])
        own = [{name: item[name] for name in ("batch", "plan") if name in item} for item in json.loads(body or b"[]")]
        return self._scheduler.map(function, [{**request, **item} for item in own])

    def _execution(self, machine: str) -> dict[str, str]:
        name = secrets.token_hex(8)
        return {
            "execution": f"{_ACCOUNT}:holdfast-{machine}-internet:{name}",
            "execution_started_at": datetime.now(UTC).isoformat(),
        }


class _Holder:
    """The branch of the backup machine that keeps the snapshot, one generation after the other."""

    def __init__(self, scheduler: Scheduler, world: World) -> None:
        self._scheduler, self._world = scheduler, world
        self._failures: list[InvocationFailed] = []

    def begin(self, point: str) -> None:
        """Start the first holder."""
        self._thread = threading.Thread(target=self._run, args=(point,), daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the last holder has let go; raises what it failed with."""
        self._thread.join()
        for failure in self._failures:
            raise failure

    def _run(self, point: str) -> None:
        generation = 1
        try:
            while True:
                token = f"{point}.{generation}"
                request = {"database": DATABASE, "point_id": point, "generation": generation, "task_token": token}
                if self._scheduler.holder.invoke("snapshot.hold", request)["released"]:
                    return
                generation += 1
        except InvocationFailed as failure:
            self._failures.append(failure)

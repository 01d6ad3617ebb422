"""The cores that a run may use, and what else happened on them."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
_OURSELVES = Path(sys.executable).resolve()


def pin(cores: tuple[int, ...]) -> None:
    """Let this process and all that it starts run on *cores* only."""
    os.sched_setaffinity(0, cores)


def describe(cores: tuple[int, ...]) -> str:
    """Return the processor, the cores in use and the memory, for people."""
    models = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = int(_lines("/proc/meminfo")[0].split()[1]) / 1e6
    used = ", ".join(map(str, cores))
    model = models[0] if models else platform.machine()
    return f"{model}, cores {used} of {os.cpu_count()}, {memory:.0f} GB, {platform.system()} {platform.release()}"


@dataclass(frozen=True, slots=True)
class Busy:
    """CPU seconds by which somebody kept the cores busy, since the machine started."""

    seconds: float

    @classmethod
    def now(cls, cores: tuple[int, ...]) -> Busy:
        """Read the kernel's count for *cores*: everything but idle and waiting."""
        names = {f"cpu{core}" for core in cores}
        ticks = 0
        for line in _lines("/proc/stat"):
            name, *values = line.split()
            if name in names:
                user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, values)
                ticks += user + nice + system + irq + softirq + steal
        return cls(ticks / TICKS)


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process and of its children that have ended; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def cpu_of_tree(pid: int) -> float:
    """Return the CPU seconds of a process and of everything that it started."""
    return sum(cpu_of(each) for each in tree(pid))


def tree(pid: int) -> list[int]:
    """Return *pid* and its descendants that live now."""
    found = [pid]
    for each in found:
        found += _children(each)
    return found


def resident(pid: int) -> int:
    """
    Return the resident bytes of a process tree; pages that its processes share count for each of them.

    A child of ours that is not yet the program it will be has our memory, not its own: it is left out.
    """
    total = 0
    for each in tree(pid):
        try:
            if each != pid and Path(f"/proc/{each}/exe").resolve() == _OURSELVES:
                continue
            total += int(Path(f"/proc/{each}/statm").read_text().split()[1]) * PAGE
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def _children(pid: int) -> list[int]:
    """Return the children that any thread of *pid* started."""
    found = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (thread / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return found
    return found


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()

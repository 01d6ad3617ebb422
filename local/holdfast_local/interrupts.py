"""
Ctrl-C and SIGTERM while something is started that has to be stopped again.

Python raises `KeyboardInterrupt` between any two instructions: after a process was started and before anybody
knew it, in the middle of cleaning up, or in a callback that can only drop it. So starting is `held`, and what
starts and cleans up is interrupted `once`. Only the main thread is ever interrupted: in others both do nothing.
A signal that the process ignores stays ignored, for whoever started it in the background of a shell wants that.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def once() -> Iterator[Callable[[], None]]:
    """
    Raise `KeyboardInterrupt` for the first signal of the block and for no later one.

    Yields a function that raises it again, to be called where the block would otherwise have ended well: the first
    may have been dropped on its way. An error after the signal is its consequence, and becomes `KeyboardInterrupt` too.
    """
    came: list[int] = []

    def interrupted(number: int, _: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            raise KeyboardInterrupt

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    with _handled(interrupted):
        try:
            yield check
        except Exception:
            check()
            raise


@contextmanager
def held() -> Iterator[None]:
    """Keep signals until the block has ended, then let them do what they would have done."""
    came: list[int] = []
    try:
        with _handled(lambda number, _: came.append(number)):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in SIGNALS}
    changed = {number: each for number, each in former.items() if each not in (signal.SIG_IGN, None)}
    try:
        for number in changed:
            signal.signal(number, handler)
        yield
    finally:
        for number, each in changed.items():
            signal.signal(number, each)

"""Ctrl-C where something is started: never between a process and the note of it, never in the middle of cleaning up."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from holdfast_local.interrupts import held, once

Done = list[str]


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """Handle Ctrl-C as Python does, even where whoever started the tests ignores it."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, former)


def come(number: int = signal.SIGINT) -> None:
    signal.raise_signal(number)


def held_until_the_end(done: Done) -> None:
    with held():
        come()
        done.append("all")


def held_and_failed(done: Done) -> None:
    with held():
        come()
        done.append("all")
        raise ValueError


def come_again_while_cleaning_up(done: Done) -> None:
    with once():
        try:
            come()
        finally:
            come()
            done.append("all")


def terminated_while_cleaning_up(done: Done) -> None:
    with once():
        try:
            come(signal.SIGTERM)
        finally:
            come()
            done.append("all")


def dropped_by_somebody(done: Done) -> None:
    with once() as uninterrupted:
        with suppress(KeyboardInterrupt):
            come()
        done.append("all")
        uninterrupted()


def failed_because_of_it(done: Done) -> None:
    with once():
        with suppress(KeyboardInterrupt):
            come()
        done.append("all")
        raise ValueError


@pytest.mark.parametrize(
    "block",
    [
        held_until_the_end,
        held_and_failed,
        come_again_while_cleaning_up,
        terminated_while_cleaning_up,
        dropped_by_somebody,
        failed_because_of_it,
    ],
)
def test_an_interrupt_comes_once_and_late_enough(block: Callable[[Done], None]) -> None:
    done: Done = []

    with pytest.raises(KeyboardInterrupt):
        block(done)

    assert done == ["all"]


def test_an_ignored_interrupt_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    with once() as uninterrupted, held():
        come()
        uninterrupted()

    assert signal.signal(signal.SIGINT, signal.default_int_handler) is signal.SIG_IGN


def test_an_error_without_an_interrupt_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="of its own"), once():
        raise ValueError("of its own")


def test_in_other_threads_nothing_is_changed() -> None:
    def handler() -> object:
        with once(), held():
            return signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(handler).result() is signal.default_int_handler

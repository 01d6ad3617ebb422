"""
`python -m holdfast_local.synthesis CONFIGURATION OUTPUT [FUNCTION=SECONDS…]`: the cloud assembly for this machine.

A process of its own: CDK keeps a Node process for as long as its own lasts.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from holdfast.configuration import Configuration, load
from holdfast.errors import BadRequest, HoldfastError
from holdfast_infra.app import synthesise
from holdfast_infra.inventory import ONCE, PER_NETWORK


def main(arguments: list[str]) -> int:
    """Build the host's layers where they are out of date, and the template with functions' shorter limits."""
    configuration, output = map(Path, arguments[:2])
    try:
        limits = read_limits(arguments[2:])
        settings = without_account(load(configuration).on_this_machine())
        synthesise(settings, target="host", output=output, limits=limits)
    except HoldfastError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def read_limits(given: Iterable[str]) -> dict[str, int]:
    """Return seconds by function from texts like `snapshot.hold=20`; raises `BadRequest`."""
    known = {plan.path for plan in (*PER_NETWORK, *ONCE)}
    limits = {}
    for text in given:
        name, _, seconds = text.partition("=")
        if name not in known or not seconds.isdecimal() or not int(seconds):
            raise BadRequest(
                f"{text!r} is no limit of a function.",
                hint=f"Write snapshot.hold=20; known are {', '.join(sorted(known))}.",
            )
        limits[name] = int(seconds)
    return limits


def without_account(configuration: Configuration) -> Configuration:
    """Leave the AWS account out: ARNs would name it, and the local cloud has one of its own."""
    return configuration.model_copy(update={"holdfast": configuration.holdfast.model_copy(update={"account": None})})


def _give_up(number: int, _: FrameType | None) -> None:
    """End at SIGTERM as at an error, so that what is half written is removed."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _give_up)
    sys.exit(main(sys.argv[1:]))

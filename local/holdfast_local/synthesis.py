"""
`python -m holdfast_local.synthesis CONFIGURATION OUTPUT`: the cloud assembly for this machine.

A process of its own: CDK keeps a Node process for as long as its own lasts.
"""

from __future__ import annotations

import sys
from pathlib import Path

from holdfast.configuration import Configuration, load
from holdfast.errors import HoldfastError
from holdfast_infra.app import synthesise


def main(arguments: list[str]) -> int:
    """Build the host's layers where they are out of date, and the template."""
    configuration, output = map(Path, arguments)
    try:
        synthesise(without_account(load(configuration).on_this_machine()), target="host", output=output)
    except HoldfastError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def without_account(configuration: Configuration) -> Configuration:
    """Leave the AWS account out: ARNs would name it, and the local cloud has one of its own."""
    return configuration.model_copy(update={"holdfast": configuration.holdfast.model_copy(update={"account": None})})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

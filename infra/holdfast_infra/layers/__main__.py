"""`python -m holdfast_infra.layers [--target T ...]`: build the layers and say where they are."""

from __future__ import annotations

import argparse
import sys

from holdfast.errors import HoldfastError
from holdfast_infra.layers import TARGETS, build, layer_hash
from holdfast_infra.layers.tree import size


def main(arguments: list[str] | None = None) -> int:
    """Build the layers for each target asked for (all of them by default); return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m holdfast_infra.layers", description="Build the Lambda layers.")
    parser.add_argument("--target", action="append", choices=TARGETS, help="may be repeated; all if left out")
    chosen = parser.parse_args(arguments).target or TARGETS
    try:
        for target in chosen:
            for name, path in build(target).items():
                sys.stdout.write(f"{target:14} {name:13} {size(path) / 1e6:7.1f} MB  {layer_hash(path)[:16]}  {path}\n")
    except HoldfastError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

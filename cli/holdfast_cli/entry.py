"""What the shell starts: loading the command takes a second, and may be interrupted like all that follows."""

from __future__ import annotations

import sys

_DETACHED = 130
"""`Exit.DETACHED`, which is not loaded yet."""


def main() -> None:
    """Load the command line and run it; Ctrl-C before it is there is no defect to be traced."""
    try:
        from holdfast_cli.main import run
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted before anything was started.\n")
        sys.exit(_DETACHED)
    sys.exit(run(sys.argv[1:]))

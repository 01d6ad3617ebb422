"""Name a restore after the execution that runs it."""

from __future__ import annotations

import re


def restore_id_of(execution: str) -> str:
    """Return the id of the restore that the execution *execution* (an ARN) runs: its name, made safe for keys."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", execution.rsplit(":", 1)[-1])[:80]

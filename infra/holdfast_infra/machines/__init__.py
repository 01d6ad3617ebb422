"""The state machines as ASL files, one per workflow, and the schema of what a person gives the restore machine."""

from __future__ import annotations

from pathlib import Path

MACHINES = Path(__file__).parent

"""A twin of Neon: its HTTP API over real PostgreSQL, stateful, with operations, locks and limits like its own."""

from holdfast_local.neon.project import Limits
from holdfast_local.neon.serving import NeonTwin
from holdfast_local.twin_messages import Exchange, Fault

__all__ = ["Exchange", "Fault", "Limits", "NeonTwin"]

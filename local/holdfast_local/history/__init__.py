"""Servers with a past: physical copies and archived WAL, from which any moment of a server runs again."""

from holdfast_local.history.copies import Copy, Moment
from holdfast_local.history.hollow import HollowServer
from holdfast_local.history.recording import RecordedServer

__all__ = ["Copy", "HollowServer", "Moment", "RecordedServer"]

"""Neon, by its HTTP API (v2)."""

from holdfast.adapters.neon.provider import Neon

__all__ = ["Neon"]

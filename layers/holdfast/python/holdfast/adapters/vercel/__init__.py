"""Vercel, by its HTTP API: what an application's cutover needs. Its databases are Neon's."""

from holdfast.adapters.vercel.project import VercelProject

__all__ = ["VercelProject"]

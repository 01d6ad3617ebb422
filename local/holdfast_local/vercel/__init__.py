"""A twin of Vercel: one project's variables, and its deployments with those that they were built with."""

from holdfast_local.vercel.api import VercelTwin
from holdfast_local.vercel.project import Answered

__all__ = ["Answered", "VercelTwin"]

"""Real PostgreSQL servers from pinned packages, without root, Docker or installation."""

from holdfast_local.postgres.detached import start_detached, status, stop_detached
from holdfast_local.postgres.embedded import EmbeddedPostgres
from holdfast_local.postgres.programs import MAJORS, Programs, locate
from holdfast_local.postgres.server import Server

__all__ = [
    "MAJORS",
    "EmbeddedPostgres",
    "Programs",
    "Server",
    "locate",
    "start_detached",
    "status",
    "stop_detached",
]

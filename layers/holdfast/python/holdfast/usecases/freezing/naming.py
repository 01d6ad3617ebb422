"""What our copies are called, and how they are told from everybody else's."""

from __future__ import annotations

import re

from holdfast.model.points import RecoveryPoint

_STAMP = r"\d{8}t\d{6}z-[0-9a-f]{6}"


def copy_name(system: str, point: RecoveryPoint) -> str:
    """
    Return the name of the copy for *point*, which the provider's adapter gives a prefix.

    It has the system's name, for two systems may protect one database, and not the database's: identifiers of RDS
    have at most 63 characters.
    """
    return f"{system}-copy-{point.id.removeprefix(f'{point.database}-')}"


def is_of_system(name: str, system: str) -> bool:
    """Answer whether a copy called *name* was made for a backup of *system*."""
    return re.fullmatch(rf"{re.escape(system)}-copy-{_STAMP}", name) is not None

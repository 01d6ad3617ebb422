"""How our sessions name themselves to a server, so that its people see who is there and for which point."""

from __future__ import annotations

LONGEST = 63
"""Bytes of an application name that PostgreSQL keeps; it cuts the rest off without a word."""
TAIL = 23
"""Characters of a point's id after its database: the second of its start and six hex digits."""


def session_name(step: str, point_id: str) -> str:
    """
    Return the application name of the session that does *step* for the point: `holdfast dump shop-2026…`.

    It always ends with the point's time and digits: when all of it is too long, the database's name is cut, with `~`
    where it was, since the server shows each session's database anyway.
    """
    name = f"holdfast {step} {point_id}"
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - TAIL - 1]}~{point_id[-TAIL:]}"


def belongs_to(application_name: str, point_id: str) -> bool:
    """Tell whether a session of this name works for the point; in SQL: `right(application_name, 23)`."""
    return application_name.startswith("holdfast ") and application_name[-TAIL:] == point_id[-TAIL:]

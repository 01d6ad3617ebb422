"""
Read the grants that pg_dump writes.

The same rights may be written in another order, and after a restore by another role grants to the new owner mean
nothing. So they are compared as sets of single rights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.model.database_entries import statements_in

_NAME = r'"(?:[^"]|"")*"'
_GRANT = re.compile(
    rf"""(?P<verb>GRANT|REVOKE)(?P<of_option>\ GRANT\ OPTION\ FOR)?\ (?P<rights>(?:{_NAME}|[^"])+?)
         \ ON\ (?P<thing>(?:{_NAME}|[^"])+)
         \ (?:TO|FROM)\ (?P<grantee>{_NAME}|[^\s"]+)(?P<with_option>\ WITH\ GRANT\ OPTION)?""",
    re.VERBOSE,
)
_RIGHT = re.compile(rf"(?:{_NAME}|\((?:{_NAME}|[^\")])*\)|[^,\"(])+")
_GRANTOR = re.compile(rf"SET SESSION AUTHORIZATION (?P<name>{_NAME}|\S+)")


@dataclass(frozen=True, slots=True)
class Grant:
    """
    One right, given to *grantee* or taken away.

    *option* is about passing it on; an empty *grantor* is the owner. What could not be read is all in *verb*.
    """

    verb: str
    right: str = ""
    grantee: str = ""
    option: bool = False
    grantor: str = ""


def grants_of(definition: str) -> Iterator[Grant]:
    """Yield each right that the grants in *definition* give or take."""
    grantor = ""
    for statement in statements_in(definition):
        text = statement.strip()
        if found := _GRANTOR.fullmatch(text):
            grantor = _plain(found["name"])
        elif text == "RESET SESSION AUTHORIZATION":
            grantor = ""
        elif found := _GRANT.fullmatch(text):
            option = bool(found["of_option"] or found["with_option"])
            for right in _RIGHT.findall(found["rights"]):
                yield Grant(found["verb"], right.strip(), _plain(found["grantee"]), option, grantor)
        elif text:
            yield Grant(text, grantor=grantor)


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name

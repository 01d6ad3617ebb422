"""Read access lists as PostgreSQL writes them: `"a role"=r*w/grantor`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.errors import UnexpectedState

_ITEM = re.compile(r'(?P<grantee>"(?:[^"]|"")*"|[^"=/]*)=(?P<rights>(?:[a-zA-Z]\*?)*)/(?P<grantor>.+)', re.DOTALL)
_RIGHT = re.compile(r"([a-zA-Z])(\*?)")


@dataclass(frozen=True, slots=True)
class AccessItem:
    """What one role may do; an empty *grantee* is everybody. *passable* are the rights it may pass on."""

    grantee: str
    rights: frozenset[str]
    passable: frozenset[str]


def read_aclitem(text: str) -> AccessItem:
    """Return what *text* says; raises `UnexpectedState` when it is no access item."""
    found = _ITEM.fullmatch(text)
    if not found:
        raise UnexpectedState("An access list of a large object has an unknown shape.")
    grantee = found["grantee"]
    if grantee.startswith('"'):
        grantee = grantee[1:-1].replace('""', '"')
    rights = _RIGHT.findall(found["rights"])
    return AccessItem(
        grantee, frozenset(right for right, _ in rights), frozenset(right for right, star in rights if star)
    )

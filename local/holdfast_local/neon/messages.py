"""Bodies and pages of the twin's HTTP messages."""

from __future__ import annotations

import json
from collections.abc import Iterable

from werkzeug.wrappers import Request

from holdfast_local.neon.errors import Refused
from holdfast_local.neon.things import Document, Operation


def body_of(request: Request) -> Document:
    """Return the JSON object of a request, empty without a body; raises 400 for anything else."""
    if not request.data:
        return {}
    try:
        found = json.loads(request.data)
    except ValueError:
        raise Refused(400, "the body is no JSON") from None
    if not isinstance(found, dict):
        raise Refused(400, "the body is no JSON object")
    return found


def documents_of(operations: Iterable[Operation]) -> list[Document]:
    """Return operations as the API shows them."""
    return [each.document() for each in operations]


def page_of(request: Request, items: list[Document], most: int) -> tuple[list[Document], str | None]:
    """Return a page of *items* after the one that the cursor names, and the next cursor."""
    limit = min(int(request.args.get("limit", most)), most)
    ids = [str(each["id"]) for each in items]
    cursor = request.args.get("cursor")
    start = ids.index(cursor) + 1 if cursor in ids else 0
    some = items[start : start + limit]
    more = start + limit < len(items)
    return some, str(some[-1]["id"]) if more and some else None

"""What RESTORE.md says of large objects: load their list and their content aside, and make objects of them."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.archive import large_object_script as script
from holdfast.contracts.manifest import Chunk, LargeObjects

_SCHEMA = "public"
CREATE = script.creations(_SCHEMA)
_SECTION = """
## Put the large objects together

Their list and their content were loaded into tables of their own; this makes {count} objects of them, with owners,
grants and comments.

```bash
psql -X -v ON_ERROR_STOP=1 <<'SQL'
BEGIN;
{assembly};
COMMIT;
{description};
{removal};
SQL
```
"""


def section(objects: LargeObjects) -> str:
    """Return the section for an archive with these objects."""
    return _SECTION.format(
        count=objects.listed.rows,
        assembly=";\n".join(script.assembly(_SCHEMA)),
        description=script.description(_SCHEMA, objects),
        removal=script.removal(_SCHEMA),
    )


def loads(objects: LargeObjects) -> Iterator[tuple[Chunk, str]]:
    """Yield each chunk with the statement that loads it."""
    for name, content in (("list", objects.listed), ("content", objects.content)):
        for chunk in content.chunks:
            yield chunk, f"COPY {_SCHEMA}.holdfast_{name} FROM STDIN"

"""Which schemas and tables of a database are backed up."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.contracts.message import Contract


class Selection(Contract):
    """
    Patterns of what is in and out, as PostgreSQL's own programs understand them; without any, everything is in.

    With *include_tables* the lists of schemas mean nothing, as in pg_dump. Of *exclude_rows* the definitions stay.
    """

    include_schemas: tuple[str, ...] = ()
    exclude_schemas: tuple[str, ...] = ()
    include_tables: tuple[str, ...] = ()
    exclude_tables: tuple[str, ...] = ()
    exclude_rows: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether nothing is chosen and nothing left out."""
        return self == Selection()

    @property
    def by_name(self) -> bool:
        """Whether only what is named is in: what has no schema, such as large objects and extensions, is out then."""
        return bool(self.include_schemas or self.include_tables)

    def __str__(self) -> str:
        """Return it for people, in the words of the configuration; nothing when everything is in."""
        return "; ".join(self._said())

    def _said(self) -> Iterator[str]:
        only = self.include_tables or tuple(f"{schema}.*" for schema in self.include_schemas)
        if only:
            yield f"only: {', '.join(only)}"
        schemas = () if self.include_tables else tuple(f"{schema}.*" for schema in self.exclude_schemas)
        if out := (*schemas, *self.exclude_tables):
            yield f"without: {', '.join(out)}"
        if self.exclude_rows:
            yield f"without rows: {', '.join(self.exclude_rows)}"


EVERYTHING = Selection()

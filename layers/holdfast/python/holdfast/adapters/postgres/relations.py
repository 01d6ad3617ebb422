"""Find the tables whose rows a backup copies, as pg_dump would choose them."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.quoting import qualified
from holdfast.adapters.postgres.selecting import ALL, Chosen, choose
from holdfast.contracts.selection import EVERYTHING, Selection
from holdfast.model.tables import TableName


@dataclass(frozen=True, slots=True, order=True)
class Relation:
    """An ordinary or partitioned table. Partitioned ones (*leaf* false) have no rows, so no backup locks them."""

    name: TableName
    oid: int
    leaf: bool
    of_extension: bool = False

    @property
    def sql(self) -> str:
        """Return the quoted name."""
        return qualified(self.name.schema, self.name.name)


@dataclass(frozen=True, slots=True)
class TableFacts:
    """
    What the plan needs about one table; *blocks* and *bytes* are sizes of the heap and of everything.

    *root* is the topmost table that this one is a part of, if anything between them is partitioned by hash.
    """

    relation: Relation
    columns: tuple[str, ...]
    types: tuple[str, ...]
    condition: str
    blocks: int
    bytes: int
    root: tuple[str, str] | None = None


# Not ours: system and temporary schemas, and what belongs to an extension, except its configuration tables.
# Our own marks of an unfinished restore are left out as well.
_OF_INTEREST = """
    c.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> 'holdfast_restore'
    AND (e.oid IS NULL OR c.oid = ANY (e.extconfig))
"""

_FROM = """
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_depend d
      ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.objsubid = 0
     AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
    LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
"""

LOCKABLE = f"""
    SELECT n.nspname, c.relname, c.oid, c.relkind = 'r' AS leaf, e.oid IS NOT NULL AS of_extension
    {_FROM}
    WHERE c.relkind IN ('r', 'p') AND {_OF_INTEREST}
    ORDER BY 1, 2
"""

# Columns in the order of the table; generated ones are computed again by the restore.
TABLES = f"""
    SELECT n.nspname, c.relname, c.oid,
           coalesce((SELECT pg_catalog.array_agg(a.attname ORDER BY a.attnum)
                     FROM pg_catalog.pg_attribute a
                     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
                    '{{}}'::pg_catalog.name[])::pg_catalog.text[],
           coalesce((SELECT pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum)
                     FROM pg_catalog.pg_attribute a
                     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
                    '{{}}'::pg_catalog.text[]),
           coalesce(e.extcondition[pg_catalog.array_position(e.extconfig, c.oid)], ''),
           pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint,
           pg_catalog.pg_table_size(c.oid),
           (SELECT ARRAY[rn.nspname, r.relname]::pg_catalog.text[]
            FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
            WHERE c.relispartition AND r.oid = pg_catalog.pg_partition_root(c.oid)
              AND EXISTS (SELECT 1 FROM pg_catalog.pg_partition_ancestors(c.oid) above
                          JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = above.relid
                          WHERE p.partstrat = 'h')),
           pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid
    {_FROM}
    WHERE c.relkind = 'r' AND {_OF_INTEREST}
    ORDER BY 1, 2
"""  # noqa: S608  # constants only


def lockable(connection: Connection, selection: Selection = EVERYTHING) -> tuple[Relation, ...]:
    """Return every table that a backup takes: those with rows, which it locks, and partitioned ones above them."""
    chosen = choose(connection, selection)
    rows = connection.execute(LOCKABLE).fetchall()
    return tuple(
        Relation(TableName(schema, name), oid, leaf, of_extension)
        for schema, name, oid, leaf, of_extension in rows
        if chosen.takes(oid)
    )


def tables(connection: Connection, chosen: Chosen = ALL) -> tuple[TableFacts, ...]:
    """
    Return the tables to copy with their sizes, sorted by name: those whose rows are *chosen*.

    The session's search path must be empty, for the names of types. Call it under the snapshot: sizes are then read
    after it was taken, so no row that counts lies beyond them.
    """
    return tuple(
        TableFacts(
            relation=Relation(TableName(schema, name), oid, leaf=True),
            columns=tuple(columns),
            types=tuple(types),
            condition=condition or "",
            blocks=blocks,
            bytes=size,
            # Where the root is not chosen, a partition stands alone.
            root=(root[0], root[1]) if root and chosen.takes(root_oid) else None,
        )
        for schema, name, oid, columns, types, condition, blocks, size, root, root_oid in connection.execute(
            TABLES
        ).fetchall()
        if chosen.takes_rows(oid)
    )

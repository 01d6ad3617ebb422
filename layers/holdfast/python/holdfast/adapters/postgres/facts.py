"""Describe a source: the server, the database, and what it holds beside tables."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.contracts.manifest import Extension, MaterialisedView, Source

# 15 names the provider of the locale, 16 has rules of its own, 17 renamed the column of its name.
_SOURCE = """
    SELECT d.datname, pg_catalog.current_setting('server_version_num')::int,
           pg_catalog.current_setting('server_version'),
           pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
           coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c'),
           coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale'),
           pg_catalog.to_jsonb(d) ->> 'daticurules',
           pg_catalog.pg_database_size(d.oid)
    FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
"""

_EXTENSIONS = """
    SELECT e.extname, e.extversion, n.nspname
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    ORDER BY e.extname
"""

# pg_shdepend knows who owns, or was granted, or is named by a policy; it leaves the first superuser out.
_ROLES = """
    SELECT r.rolname FROM pg_catalog.pg_roles r
    WHERE r.oid IN (
        SELECT s.refobjid FROM pg_catalog.pg_shdepend s
        JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
        WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
          AND (s.dbid = d.oid OR (s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND s.objid = d.oid))
        UNION SELECT s.setrole FROM pg_catalog.pg_db_role_setting s
        JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = pg_catalog.current_database()
        UNION SELECT datdba FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
        UNION SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid >= 16384
        UNION SELECT p.proowner FROM pg_catalog.pg_proc p WHERE p.oid >= 16384
        UNION SELECT t.typowner FROM pg_catalog.pg_type t WHERE t.oid >= 16384
        UNION SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.oid >= 16384
    ) AND r.rolname !~ '^pg_'
    ORDER BY 1
"""

# Views and materialised views that a materialised view reads, through any number of plain views.
_MATERIALISED_VIEWS = """
    WITH RECURSIVE edge AS (
        SELECT DISTINCT r.ev_class AS reader, d.refobjid AS source
        FROM pg_catalog.pg_rewrite r
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
         AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class
        JOIN pg_catalog.pg_class s ON s.oid = d.refobjid AND s.relkind IN ('v', 'm')
    ), reached AS (
        SELECT reader, source FROM edge
        UNION
        SELECT reached.reader, edge.source FROM reached JOIN edge ON edge.reader = reached.source
    )
    SELECT n.nspname, c.relname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'm' AND c.relispopulated
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                        AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY (SELECT count(*) FROM reached JOIN pg_catalog.pg_class s ON s.oid = reached.source
              WHERE reached.reader = c.oid AND s.relkind = 'm'), 1, 2
"""

# Everything that pg_dump asks for one by one or writes an entry for, about.
_OBJECT_COUNTS = """
    SELECT (SELECT count(*) FROM pg_catalog.pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'f')),
           (SELECT count(*) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
            WHERE i.indexrelid >= 16384 AND c.relkind <> 't'),
           (SELECT count(*) FROM pg_catalog.pg_class WHERE oid >= 16384 AND relkind IN ('v', 'm', 'S', 'c'))
         + (SELECT count(*) FROM pg_catalog.pg_proc WHERE oid >= 16384)
         + (SELECT count(*) FROM pg_catalog.pg_constraint WHERE oid >= 16384)
         + (SELECT count(*) FROM pg_catalog.pg_trigger WHERE oid >= 16384 AND NOT tgisinternal)
"""


@dataclass(frozen=True, slots=True)
class ObjectCounts:
    """How many objects the database's users made, about; *others* are views, sequences, functions, constraints."""

    tables: int
    indexes: int
    others: int


def object_counts(connection: Connection) -> ObjectCounts:
    """Count what there is to define."""
    row = connection.execute(_OBJECT_COUNTS).fetchone()
    assert row is not None  # noqa: S101  # a SELECT without FROM
    return ObjectCounts(*row)


def source(connection: Connection) -> Source:
    """Return what the manifest says about server and database."""
    row = connection.execute(_SOURCE).fetchone()
    assert row is not None  # noqa: S101  # we are connected to it
    name, number, text, encoding, collate, ctype, provider, locale, rules, size = row
    return Source(
        database_name=name,
        server_version=number,
        server_version_text=text,
        system_identifier=_system_identifier(connection),
        encoding=encoding,
        collate=collate,
        ctype=ctype,
        locale_provider=provider,
        icu_locale=locale,
        icu_rules=rules,
        size=size,
    )


def _system_identifier(connection: Connection) -> str | None:
    """Return the cluster's identity, or nothing where the provider hides it."""
    connection.execute("SAVEPOINT identity")
    try:
        row = connection.execute("SELECT system_identifier::text FROM pg_catalog.pg_control_system()").fetchone()
    except psycopg.Error:
        connection.execute("ROLLBACK TO SAVEPOINT identity")
        return None
    connection.execute("RELEASE SAVEPOINT identity")
    return str(row[0]) if row else None


def extensions(connection: Connection) -> tuple[Extension, ...]:
    """Return the database's extensions, sorted by name."""
    rows = connection.execute(_EXTENSIONS).fetchall()
    return tuple(Extension(name=name, version=version, schema_name=schema) for name, version, schema in rows)


def roles(connection: Connection) -> tuple[str, ...]:
    """Return the roles that own something in the database or are granted something there."""
    return tuple(name for (name,) in connection.execute(_ROLES).fetchall())


def materialised_views(connection: Connection) -> tuple[MaterialisedView, ...]:
    """
    Return the populated materialised views in an order in which they can be refreshed.

    One that reads n others, directly or through views, comes after them: each of those reads fewer.
    """
    rows = connection.execute(_MATERIALISED_VIEWS).fetchall()
    return tuple(MaterialisedView(schema_name=schema, name=name) for schema, name in rows)

"""
What lies in a database that a restore is to fill: nothing may, apart from what every new database has.

Everything is asked of the catalogues of all kinds of objects: whatever is not there from the start counts, unless an
extension brought it, for then the extension counts, or it goes with something that counts already.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.marks import restore_of
from holdfast.contracts.restoring import Locale
from holdfast.model.restoring import MARKS_SCHEMA


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """An existing database: its locale, how many things lie in it, and the names of the first of them."""

    locale: Locale
    template: bool
    objects: int
    names: tuple[str, ...]
    restore_id: str | None


def database_facts(connection: Connection) -> DatabaseFacts:
    """Read what lies in the database that *connection* is connected to; raises psycopg's errors."""
    row = connection.execute(_DATABASE).fetchone()
    assert row is not None  # noqa: S101  # we are connected to it
    encoding, provider, collate, ctype, locale, rules, template = row
    found = connection.execute(_CONTENT.encode()).fetchall()
    names = tuple(str(name) for name, _ in found)
    return DatabaseFacts(
        locale=Locale(
            encoding=encoding,
            provider=PROVIDERS[provider],
            collate=collate,
            ctype=ctype,
            icu_locale=locale,
            icu_rules=rules,
        ),
        template=template,
        objects=found[0][1] if found else 0,
        names=names,
        restore_id=restore_of(connection) if f"schema {MARKS_SCHEMA}" in names else None,
    )


PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin", "d": "libc"}

# 15 names the provider of the locale, 16 has rules, 17 renamed the column of the locale's name.
_DATABASE = """
SELECT pg_catalog.pg_encoding_to_char(d.encoding), coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c'),
       d.datcollate, d.datctype,
       coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale'),
       pg_catalog.to_jsonb(d) ->> 'daticurules', d.datistemplate
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
"""
_FIRST_OF_USERS = 16384
"""The first number of an object that the server did not have from the start: FirstNormalObjectId."""
_SELECTIONS = {
    "pg_class": "o.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')",
    "pg_namespace": "o.nspname <> 'public' AND o.nspname !~ '^pg_(toast|temp)'",
    "pg_extension": "o.extname <> 'plpgsql'",
    **dict.fromkeys(("pg_proc", "pg_type", "pg_operator", "pg_opclass", "pg_opfamily", "pg_am", "pg_cast"), "true"),
    **dict.fromkeys(("pg_collation", "pg_conversion", "pg_default_acl", "pg_event_trigger", "pg_language"), "true"),
    **dict.fromkeys(("pg_foreign_data_wrapper", "pg_foreign_server", "pg_publication", "pg_transform"), "true"),
    **dict.fromkeys(("pg_ts_config", "pg_ts_dict", "pg_ts_parser", "pg_ts_template"), "true"),
}
_OBJECTS = "\n  UNION ALL ".join(
    f"SELECT o.tableoid, o.oid FROM pg_catalog.{name} o WHERE o.oid >= {_FIRST_OF_USERS} AND {condition}"  # noqa: S608
    for name, condition in _SELECTIONS.items()
)
# Deletion types: e, of an extension; i, a part of something; a, goes with something.
_CONTENT = f"""
WITH object(class, oid) AS (
  {_OBJECTS}
), found(name) AS (
  SELECT known.type || ' ' || known.identity
  FROM object o, LATERAL pg_catalog.pg_identify_object(o.class, o.oid, 0) known
  WHERE (known.schema IS NULL
         OR known.schema NOT IN ('pg_catalog', 'information_schema') AND known.schema !~ '^pg_(toast|temp)')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype IN ('e', 'i', 'a'))
  UNION ALL
  SELECT 'large object ' || o.oid FROM pg_catalog.pg_largeobject_metadata o
  UNION ALL
  SELECT 'subscription ' || s.subname FROM pg_catalog.pg_subscription s
  JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = pg_catalog.current_database()
  UNION ALL
  SELECT 'setting ' || pg_catalog.split_part(setting, '=', 1)
  FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
  CROSS JOIN pg_catalog.unnest(s.setconfig) AS setting WHERE d.datname = pg_catalog.current_database()
)
SELECT name, (count(*) OVER ())::int FROM found ORDER BY name = 'schema {MARKS_SCHEMA}' DESC, name LIMIT 5
"""  # noqa: S608  # constants only

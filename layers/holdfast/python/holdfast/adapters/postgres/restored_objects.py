"""
Large objects in a target: create them from their list, describe them and compare them with it.

The list lies in the marks' schema while the restore lasts, so that a million objects are a handful of statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.large_objects import LIST_COLUMNS, PAGES
from holdfast.adapters.postgres.loading import CopyTarget
from holdfast.adapters.postgres.marks import EMPTY_PAGES, LISTED_OBJECTS
from holdfast.adapters.postgres.quoting import columns, literal

DESCRIBED_AT_ONCE = 200
"""Each object that is described needs a lock of its own, and the server's room for locks may be small."""
NAMED = 10
"""Objects that differ and are named, before the rest is only counted."""


@dataclass(frozen=True, slots=True)
class Restorer:
    """The role that restores; for *foreign* roles it may not act, so that what is theirs becomes its own."""

    role: str
    superuser: bool
    foreign: frozenset[str]

    @property
    def kept(self) -> str:
        """Return, as SQL, the owners whose objects stay with the role that restores."""
        return _array({self.role, *self.foreign})


def list_target(encoding: str) -> CopyTarget:
    """Return where a chunk of the list goes."""
    source = f"FROM STDIN (ENCODING {literal(encoding)})"
    return CopyTarget(f"COPY {LISTED_OBJECTS} ({columns(LIST_COLUMNS)}) {source}")


def create_objects(connection: Connection, first: int, end: int | None, *, by: Restorer) -> None:
    """
    Create the objects with ids from *first* on that are listed and not there yet, empty, in the running transaction.

    A superuser creates them in the names of their owners: to change an owner later takes a lock for each.
    """
    owner = f"CASE WHEN owner = ANY ({by.kept}) THEN was ELSE owner END" if by.superuser else "was"
    body = f"""
        DECLARE was text := pg_catalog.current_setting('role'); one record;
        BEGIN
          FOR one IN SELECT {owner} AS owner, pg_catalog.array_agg(oid) AS oids
                     FROM {LISTED_OBJECTS} l
                     WHERE {_within(first, end)}
                       AND NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata m WHERE m.oid = l.oid)
                     GROUP BY 1 LOOP
            PERFORM pg_catalog.set_config('role', one.owner, true);
            PERFORM pg_catalog.lo_create(o) FROM pg_catalog.unnest(one.oids) AS o;
            PERFORM pg_catalog.set_config('role', was, true);
          END LOOP;
        END"""  # noqa: S608  # constants and quoted names
    connection.execute(_do(body).encode())


def groups_to_describe(connection: Connection, first: int, end: int | None, *, by: Restorer) -> int:
    """Return in how many groups the listed objects with ids from *first* on, that need describing, are described."""
    query = f"SELECT pg_catalog.count(*) FROM {LISTED_OBJECTS} WHERE {_to_describe(first, end, by)}"  # noqa: S608
    row = connection.execute(query.encode()).fetchone()
    return -(-row[0] // DESCRIBED_AT_ONCE) if row else 0


def description(first: int, end: int | None, group: int, *, by: Restorer) -> str:
    """Return the statement that gives the *group*-th objects their owners, grants and comments."""
    altered = "false" if by.superuser else f"one.owner <> ALL ({by.kept})"
    return _do(f"""
        DECLARE one record; access record; taken text;
        BEGIN
          FOR one IN SELECT * FROM (SELECT *, (row_number() OVER (ORDER BY oid) - 1) / {DESCRIBED_AT_ONCE} AS part
                                    FROM {LISTED_OBJECTS} WHERE {_to_describe(first, end, by)}) l
                     WHERE part = {group} LOOP
            IF {altered} THEN
              EXECUTE pg_catalog.format('ALTER LARGE OBJECT %s OWNER TO %I', one.oid, one.owner);
            END IF;
            FOR taken IN {_taken_from_owner(by)} LOOP
              EXECUTE pg_catalog.format('REVOKE %s ON LARGE OBJECT %s FROM %I', taken, one.oid, one.owner);
            END LOOP;
            FOR access IN SELECT a.*, CASE grantee WHEN 0 THEN 'PUBLIC'
                                      ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END AS who
                          FROM pg_catalog.aclexplode({_LISTED_ACL.format(acl="one.acl")}) a
                          WHERE grantee = 0 OR pg_catalog.pg_get_userbyid(grantee) <> one.owner LOOP
              EXECUTE pg_catalog.format('GRANT %s ON LARGE OBJECT %s TO %s%s', access.privilege_type, one.oid,
                access.who, CASE WHEN access.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
            END LOOP;
            IF one.comment IS NOT NULL THEN
              EXECUTE pg_catalog.format('COMMENT ON LARGE OBJECT %s IS %L', one.oid, one.comment);
            END IF;
          END LOOP;
        END""")  # noqa: S608  # constants, numbers and quoted names


def _taken_from_owner(by: Restorer) -> str:
    return _TAKEN_FROM_OWNER.format(kept=by.kept, role=literal(by.role), listed=_LISTED_ACL.format(acl="one.acl"))


def list_read_back(part: int, parts: int) -> str:
    """Return the query for the *part*-th of *parts* shares of the list as it was loaded."""
    names = columns(LIST_COLUMNS)
    return f"SELECT {names} FROM {LISTED_OBJECTS} WHERE oid::bigint % {parts} = {part}"  # noqa: S608


def empty_pages(*, by_pages: bool) -> str:
    """Return the query for the archive's empty pages that are only gaps here; *by_pages* others are read anyhow."""
    page = "(pg_catalog.current_setting('block_size')::bigint / 4)"
    there = f"SELECT FROM pg_catalog.{PAGES} p WHERE p.loid = e.loid AND p.pageno = e.start / {page}"
    missing = f"WHERE NOT EXISTS ({there})" if by_pages else ""
    return f"SELECT e.loid, e.start, ''::pg_catalog.bytea FROM {EMPTY_PAGES} e {missing}"  # noqa: S608


def differing_objects(connection: Connection, *, by: Restorer) -> Iterator[str]:
    """Yield a sentence for each object that is missing, too many, or described otherwise than in the list."""
    query = _DIFFERING.format(
        listed=LISTED_OBJECTS,
        kept=by.kept,
        role=literal(by.role),
        archived=_RIGHTS.format(acl=_ACL.format(_LISTED_ACL.format(acl="l.acl"), "l.acl")),
        restored=_RIGHTS.format(acl=_ACL.format("m.lomacl", "m.lomacl")),
        named=NAMED,
    )
    differing = connection.execute(query.encode()).fetchall()
    for oid, listed, there, _ in differing:
        if not there:
            yield f"The large object {oid} is missing."
        elif not listed:
            yield f"The large object {oid} is not in the archive."
        else:
            yield f"The large object {oid} has another owner, other grants or another comment."
    if differing and differing[0][3] > NAMED:
        yield f"{differing[0][3] - NAMED} more large objects differ."


def _to_describe(first: int, end: int | None, by: Restorer) -> str:
    owned = "" if by.superuser else f" OR owner <> ALL ({by.kept})"
    return f"{_within(first, end)} AND (acl IS NOT NULL OR comment IS NOT NULL{owned})"


def _within(first: int, end: int | None) -> str:
    return f"oid >= {first}" + (f" AND oid < {end}" if end is not None else "")


def _array(names: Iterable[str]) -> str:
    return f"ARRAY[{', '.join(literal(name) for name in sorted(names))}]::pg_catalog.text[]"


def _do(body: str) -> str:
    return f"DO {literal(body)}"


# Without the items of roles that this server has not got; an empty list is other than none, yet nothing to explode.
_LISTED_ACL = """
    (SELECT pg_catalog.array_agg((substring(i from '^(.*=[a-zA-Z*]*)/') || '/'
                                  || pg_catalog.quote_ident(CURRENT_USER))::pg_catalog.aclitem)
     FROM pg_catalog.unnest({acl}::text[]) i
     WHERE i ~ '^=' OR EXISTS (
         SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = CASE
             WHEN i ~ '^"' THEN replace(substring(i from '^"((?:[^"]|"")*)"='), '""', '"')
             ELSE split_part(i, '=', 1) END))
"""
# What an owner has taken from himself; an object that changed hands keeps what its new owner has.
_TAKEN_FROM_OWNER = """
    SELECT r FROM pg_catalog.unnest(ARRAY['SELECT', 'UPDATE']) r
    WHERE one.acl IS NOT NULL AND (one.owner = {role} OR one.owner <> ALL ({kept}))
      AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode({listed}) a
                      WHERE pg_catalog.pg_get_userbyid(a.grantee) = one.owner AND a.privilege_type = r)
"""
# An empty list, which is other than none, is no access list to its functions when it was read from a text.
_ACL = "CASE WHEN {1} IS NULL THEN pg_catalog.acldefault('L', m.lomowner) ELSE {0} END"
# Who granted is not compared, for it may be the role that restored, and neither are owners where they are others.
_RIGHTS = """
    (SELECT pg_catalog.array_agg(ROW(a.grantee, a.privilege_type, a.is_grantable)::text
                                 ORDER BY a.grantee, a.privilege_type, a.is_grantable)
     FROM pg_catalog.aclexplode({acl}) a
     WHERE a.grantee = 0 OR l.owner = pg_catalog.pg_get_userbyid(m.lomowner)
        OR pg_catalog.pg_get_userbyid(a.grantee) NOT IN (l.owner, pg_catalog.pg_get_userbyid(m.lomowner)))
"""
_DIFFERING = """
    SELECT coalesce(l.oid, m.oid)::bigint, l.oid IS NOT NULL, m.oid IS NOT NULL, (count(*) OVER ())::int
    FROM {listed} l
    FULL JOIN pg_catalog.pg_largeobject_metadata m ON m.oid = l.oid
    LEFT JOIN pg_catalog.pg_description d ON d.objoid = m.oid AND d.objsubid = 0
         AND d.classoid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass
    WHERE l.oid IS NULL OR m.oid IS NULL OR l.comment IS DISTINCT FROM d.description
       OR pg_catalog.pg_get_userbyid(m.lomowner) <> CASE WHEN l.owner = ANY ({kept}) THEN {role} ELSE l.owner END
       OR (l.acl IS NOT NULL OR m.lomacl IS NOT NULL) AND {archived} IS DISTINCT FROM {restored}
    ORDER BY 1 LIMIT {named}
"""

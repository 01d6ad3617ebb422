"""What a restore asks of the server that it writes to, before and while it creates the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from holdfast.adapters.postgres import room
from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.contents import PROVIDERS
from holdfast.contracts.manifest import Source
from holdfast.contracts.restoring import Locale
from holdfast.model.budget import Connections

SINCE_PROVIDERS = 150_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """
    What the target's server and our role on it can do; *connections* is the room that it has for more of them.

    Its lock table has room for *locks_per_transaction* times *lock_sessions* objects.
    *untrusted_extensions* are a superuser's to create, unless the *provider_lends* its administrators that right.
    """

    version: int
    standby: bool
    role: str
    superuser: bool
    may_create_databases: bool
    may_create_roles: bool
    bypasses_row_security: bool
    provider_lends: bool
    connections: Connections
    locks_per_transaction: int
    lock_sessions: int
    system_identifier: str | None
    extensions: Mapping[str, str]
    untrusted_extensions: frozenset[str]
    roles: frozenset[str]
    acts_for: frozenset[str]
    may_join: frozenset[str]
    libc_locales: frozenset[str]
    icu: bool

    @property
    def major(self) -> int:
        """Return the major version."""
        return self.version // 10_000


def server_facts(connection: Connection) -> ServerFacts:
    """Read what the server and our role can do; raises psycopg's errors."""
    row = _row(connection, _SERVER)
    version = int(row["version"])
    system = None
    if row["may_read_system"]:
        system = str(
            _row(connection, "SELECT system_identifier FROM pg_catalog.pg_control_system()")["system_identifier"]
        )
    members = _JOINABLE_16 if version >= 160_000 else _JOINABLE
    return ServerFacts(
        version=version,
        standby=row["standby"],
        role=row["role"],
        superuser=row["superuser"],
        may_create_databases=row["superuser"] or row["createdb"],
        may_create_roles=row["superuser"] or row["createrole"],
        bypasses_row_security=row["superuser"] or row["bypassrls"],
        provider_lends=row["lent"],
        connections=room.connections(connection),
        locks_per_transaction=row["locks"],
        lock_sessions=row["lock_sessions"],
        system_identifier=system,
        extensions=_pairs(connection, "SELECT name, default_version FROM pg_catalog.pg_available_extensions"),
        untrusted_extensions=_names(connection, _UNTRUSTED),
        roles=_names(connection, "SELECT rolname FROM pg_catalog.pg_roles"),
        acts_for=_names(connection, _ACTS_FOR),
        may_join=_names(connection, members),
        libc_locales=_names(connection, _LOCALES),
        icu=bool(_names(connection, "SELECT collname FROM pg_catalog.pg_collation WHERE collprovider = 'i' LIMIT 1")),
    )


def database_exists(connection: Connection, name: str) -> bool:
    """Answer whether the server has a database *name*."""
    return bool(connection.execute("SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", (name,)).fetchone())


def locale_for(source: Source, facts: ServerFacts) -> tuple[Locale, str]:
    """
    Return the locale of the new database, and a warning when it cannot be the source's.

    Another locale sorts differently but loses nothing: indexes are built anew.
    """
    wanted = Locale(
        encoding=source.encoding,
        provider=PROVIDERS.get(source.locale_provider, source.locale_provider),
        collate=source.collate,
        ctype=source.ctype,
        icu_locale=source.icu_locale,
        icu_rules=source.icu_rules,
    )
    libc = [_available(name, facts.libc_locales) for name in (wanted.collate, wanted.ctype)]
    possible = {"libc": True, "icu": facts.icu, "builtin": facts.version >= 170_000}.get(wanted.provider, False)
    if possible and all(libc):
        return wanted.model_copy(update={"collate": libc[0], "ctype": libc[1]}), ""
    if possible and wanted.provider != "libc":
        return wanted.model_copy(update={"collate": "C", "ctype": "C"}), ""
    return (
        Locale(encoding=source.encoding, provider="libc", collate="C", ctype="C"),
        f"The target's server has no locale {wanted.icu_locale or wanted.collate} ({wanted.provider}); "
        "the database will sort by C.",
    )


def creation_options(locale: Locale, version: int) -> list[tuple[str, str]]:
    """Return the options of CREATE DATABASE for a database with *locale* on a server of *version*."""
    options = [("TEMPLATE", "template0"), ("ENCODING", locale.encoding)]
    options += [("LC_COLLATE", locale.collate), ("LC_CTYPE", locale.ctype)]
    if version >= SINCE_PROVIDERS:
        options.append(("LOCALE_PROVIDER", locale.provider))
    of_provider = {
        "icu": [("ICU_LOCALE", locale.icu_locale), ("ICU_RULES", locale.icu_rules)],
        "builtin": [("BUILTIN_LOCALE", locale.icu_locale)],
    }
    return options + [(key, value) for key, value in of_provider.get(locale.provider, []) if value]


def create_database(connection: Connection, name: str, locale: Locale) -> None:
    """Create the empty database *name*; one that exists already is left alone."""
    options = creation_options(locale, connection.info.server_version)
    clauses = sql.SQL(" ").join(sql.SQL("{} = {}").format(sql.SQL(key), sql.Literal(value)) for key, value in options)
    try:
        connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), clauses))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return  # an earlier attempt's statement that ended after its sender


def join_roles(connection: Connection, to_join: Iterable[str]) -> None:
    """Become a member of the roles that will own something; may be repeated."""
    for name in to_join:
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(name)))


def _available(name: str, known: frozenset[str]) -> str:
    """Return the server's own spelling of a libc locale: en_US.UTF-8 may be called en_US.utf8."""
    if name in {"C", "POSIX"}:
        return name
    return next((other for other in sorted(known) if _plain(other) == _plain(name)), "")


def _plain(locale: str) -> str:
    return locale.lower().replace("-", "")


def _row(connection: Connection, query: str) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(query.encode()).fetchone()
    return row or {}


def _pairs(connection: Connection, query: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in connection.execute(query.encode()).fetchall()}


def _names(connection: Connection, query: str) -> frozenset[str]:
    return frozenset(str(row[0]) for row in connection.execute(query.encode()).fetchall())


_SERVER = """
SELECT pg_catalog.current_setting('server_version_num')::int AS version,
       pg_catalog.pg_is_in_recovery() AS standby,
       r.rolname AS role, r.rolsuper AS superuser, r.rolcreatedb AS createdb, r.rolcreaterole AS createrole,
       r.rolbypassrls AS bypassrls,
       pg_catalog.current_setting('supautils.privileged_extensions', true) IS NOT NULL
         OR EXISTS (SELECT FROM pg_catalog.pg_roles p WHERE pg_catalog.pg_has_role(CURRENT_USER, p.oid, 'MEMBER')
                    AND p.rolname IN ('rds_superuser', 'azure_pg_admin', 'cloudsqlsuperuser', 'alloydbsuperuser',
                                      'neon_superuser')) AS lent,
       pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS may_read_system,
       pg_catalog.current_setting('max_locks_per_transaction')::int AS locks,
       pg_catalog.current_setting('max_connections')::int
       + pg_catalog.current_setting('max_prepared_transactions')::int AS lock_sessions
FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER
"""
_UNTRUSTED = """
SELECT v.name FROM pg_catalog.pg_available_extension_versions v
JOIN pg_catalog.pg_available_extensions e ON e.name = v.name AND e.default_version = v.version
WHERE v.superuser AND NOT v.trusted
"""
_ACTS_FOR = "SELECT rolname FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(CURRENT_USER, oid, 'MEMBER')"
_JOINABLE = """
SELECT rolname FROM pg_catalog.pg_roles
WHERE NOT rolsuper AND (SELECT rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER)
"""
_JOINABLE_16 = """
SELECT g.rolname FROM pg_catalog.pg_auth_members m
JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles u ON u.oid = m.member
WHERE u.rolname = CURRENT_USER AND m.admin_option
"""
_LOCALES = """
SELECT collcollate FROM pg_catalog.pg_collation WHERE collprovider = 'c' AND collcollate IS NOT NULL
UNION SELECT datcollate FROM pg_catalog.pg_database WHERE datcollate IS NOT NULL
UNION SELECT datctype FROM pg_catalog.pg_database WHERE datctype IS NOT NULL
"""

"""Read roles as data, and create those that a server lacks as far as our own role may."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.quoting import identifier, literal
from holdfast.contracts.roles import Membership, Role, RolesDocument
from holdfast.model.reserved_roles import is_reserved

# Until when a password is valid is a text here.
_PINS = "SET LOCAL DateStyle = 'ISO, YMD'", "SET LOCAL TimeZone = 'UTC'"
_OPTIONS_SINCE = 160_000
# Parameters whose values PostgreSQL keeps as lists of quoted names (GUC_LIST_QUOTE).
_LISTS = {"local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries"}
_LISTS |= {"temp_tablespaces", "unix_socket_directories"}
_LISTED = re.compile(r'"(?:[^"]|"")*"|[^\s,"]+')
# pg_roles shows every role what pg_authid keeps from all but superusers, apart from passwords.
_ROLES = """
    WITH RECURSIVE down(oid) AS (
        SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY (%(open)s)
        UNION SELECT m.member FROM pg_catalog.pg_auth_members m JOIN down ON m.roleid = down.oid
    ), up(oid) AS (
        SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY (%(names)s) OR oid IN (SELECT oid FROM down)
        UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN up ON m.member = up.oid
    )
    SELECT rolname, rolcanlogin, rolinherit, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
           rolconnlimit, rolvaliduntil::text, coalesce(rolconfig, '{}'),
           pg_catalog.shobj_description(oid, 'pg_authid')
    FROM pg_catalog.pg_roles WHERE oid IN (SELECT oid FROM up) ORDER BY rolname
"""
_MEMBERSHIPS = """
    SELECT g.rolname, u.rolname, b.rolname, m.admin_option, (pg_catalog.to_jsonb(m) ->> 'inherit_option')::bool,
           (pg_catalog.to_jsonb(m) ->> 'set_option')::bool
    FROM pg_catalog.pg_auth_members m
    JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles u ON u.oid = m.member
    LEFT JOIN pg_catalog.pg_roles b ON b.oid = m.grantor
    WHERE u.rolname = ANY (%(names)s) AND g.rolname = ANY (%(names)s) ORDER BY 1, 2, 3
"""
_ATTRIBUTES = {"login": "LOGIN", "inherit": "INHERIT", "createdb": "CREATEDB", "createrole": "CREATEROLE"}
_OF_SUPERUSERS = {"superuser": "SUPERUSER", "replication": "REPLICATION", "bypassrls": "BYPASSRLS"}
ATTRIBUTES = {**_ATTRIBUTES, **_OF_SUPERUSERS}
_TRIED = {**_OF_SUPERUSERS, "createdb": "CREATEDB", "createrole": "CREATEROLE"}


def roles_named(connection: Connection, names: Iterable[str]) -> RolesDocument:
    """Return the roles *names*, their members, and the groups of all of these; raises psycopg's errors."""
    wanted = sorted(set(names))
    # Everybody may be a member of a provider's own role.
    own = [name for name in wanted if not is_reserved(name)]
    with connection.transaction():
        for pin in _PINS:
            connection.execute(pin)
        rows = connection.execute(_ROLES, {"names": wanted, "open": own}).fetchall()
    roles = tuple(_role(row) for row in rows)
    found = connection.execute(_MEMBERSHIPS, {"names": [role.name for role in roles]}).fetchall()
    return RolesDocument(roles=roles, memberships=tuple(_membership(row) for row in found))


def create_role(connection: Connection, role: Role, *, superuser: bool) -> None:
    """
    Create *role* without a password, with what our own role may give it; one that exists already is left alone.

    All or nothing, so that a role that is there was there before, or is complete.
    """
    try:
        with connection.transaction():
            connection.execute(_creation(role, superuser=superuser).encode())
            for statement in _afterwards(role, superuser=superuser):
                _try(connection, statement)
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        return


def grant_membership(connection: Connection, membership: Membership) -> None:
    """Make somebody a member, in the name of the archive's grantor where that is allowed; may be repeated."""
    statement = f"GRANT {identifier(membership.role)} TO {identifier(membership.member)}"
    if options := _options(membership, connection.info.server_version):
        statement += f" WITH {options}"
    by = f" GRANTED BY {identifier(membership.grantor)}" if membership.grantor else ""
    with connection.transaction():
        if not by or not _try(connection, statement + by):
            _try(connection, statement)


def _options(membership: Membership, version: int) -> str:
    if version < _OPTIONS_SINCE:
        return "ADMIN OPTION" if membership.admin else ""
    options = {"ADMIN": membership.admin, "INHERIT": membership.inherit, "SET": membership.may_set}
    return ", ".join(f"{name} {str(value).upper()}" for name, value in options.items() if value is not None)


def _creation(role: Role, *, superuser: bool) -> str:
    words = [word if getattr(role, name) else f"NO{word}" for name, word in _ATTRIBUTES.items() if name not in _TRIED]
    words.append(f"CONNECTION LIMIT {role.connection_limit}")
    if role.valid_until is not None:
        words.append(f"VALID UNTIL {literal(role.valid_until)}")
    if superuser:
        words += [word for name, word in _TRIED.items() if getattr(role, name)]
    return f"CREATE ROLE {identifier(role.name)} {' '.join(words)}"


def _afterwards(role: Role, *, superuser: bool) -> Iterator[str]:
    name = identifier(role.name)
    if not superuser:
        yield from (f"ALTER ROLE {name} {word}" for field, word in _TRIED.items() if getattr(role, field))
    for setting in role.settings:
        parameter, _, value = setting.partition("=")
        yield _setting(name, parameter, value)
    if role.comment is not None:
        yield f"COMMENT ON ROLE {name} IS {literal(role.comment)}"


def _setting(name: str, parameter: str, value: str) -> str:
    """Return the statement for a setting; a list of names is kept as one text, and has to be given one by one."""
    values = [_plain(found[0]) for found in _LISTED.finditer(value)] if parameter in _LISTS else [value]
    return f"ALTER ROLE {name} SET {identifier(parameter)} TO {', '.join(literal(each) for each in values)}"


def _plain(listed: str) -> str:
    return listed[1:-1].replace('""', '"') if listed.startswith('"') else listed


def _try(connection: Connection, statement: str) -> bool:
    try:
        with connection.transaction():
            connection.execute(statement.encode())
    except psycopg.Error:
        return False
    return True


def _role(row: tuple[object, ...]) -> Role:
    fields = ("name", *_FLAGS, "connection_limit", "valid_until", "settings", "comment")
    return Role.model_validate(dict(zip(fields, row, strict=True)))


def _membership(row: tuple[object, ...]) -> Membership:
    fields = ("role", "member", "grantor", "admin", "inherit", "may_set")
    return Membership.model_validate(dict(zip(fields, row, strict=True)))


_FLAGS = ("login", "inherit", "superuser", "createdb", "createrole", "replication", "bypassrls")

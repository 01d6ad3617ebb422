"""Judge whether a server can take a restore: every obstacle at once, before anything is touched."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from holdfast.adapters.postgres.contents import DatabaseFacts
from holdfast.adapters.postgres.quoting import identifier
from holdfast.adapters.postgres.target import ServerFacts
from holdfast.contracts.manifest import Manifest
from holdfast.errors import DatabaseBusy, TargetIncompatible, TargetNotEmpty
from holdfast.model.budget import share
from holdfast.model.lock_slots import least_for_comparing
from holdfast.model.newer import too_new
from holdfast.model.restoring import MARKS_SCHEMA
from holdfast.model.tables import TableName
from holdfast.model.toc import TocEntry
from holdfast.usecases.restore.privileges import RolesNeeded, extensions_tried, missing_privileges, named

_RESERVED = {"postgres", "template0", "template1", "rdsadmin", "cloudsqladmin", "alloydbadmin", "_aiven"}
BESIDE = 2
"""Connections of a restore beside its workers: one that waits for a statement's mark, and one that looks."""
_NEW_NAME = "Restore into a new name."
_RESCUE = "Restore into a new database, such as `--into {}_rescue`, and copy from there what is needed."


def refuse_incompatible(
    manifest: Manifest,
    facts: ServerFacts,
    roles: RolesNeeded,
    *,
    exists: bool,
    client_major: int,
    entries: Sequence[TocEntry],
) -> None:
    """Raise `TargetIncompatible` naming every obstacle; *entries* are those of the schema dump."""
    obstacles = [*_of_the_server(manifest, facts, client_major), *_of_the_lock_table(manifest, facts)]
    obstacles += [*_of_the_version(facts, entries)]
    obstacles += missing_privileges(manifest, facts, roles, exists=exists, entries=entries)
    if obstacles:
        raise TargetIncompatible(
            " ".join(obstacle for obstacle, _ in obstacles), hint=" ".join(remedy for _, remedy in obstacles)
        )


def workers(facts: ServerFacts, *, most: int | None) -> int:
    """
    Return how many workers may load at once, at most *most*.

    Raises `DatabaseBusy` when not even one has room now, and `TargetIncompatible` when it never has.
    """
    found = share(facts.connections, beside=BESIDE)
    if found.workers:
        return min(found.workers, most or found.workers)
    raise (DatabaseBusy if found.ever else TargetIncompatible)(found.sentence, hint=found.remedy)


def refuse_reserved(name: str) -> None:
    """Raise `TargetNotEmpty` for a database that belongs to the server itself, or to its provider."""
    if name in _RESERVED or name.startswith("azure_"):
        raise TargetNotEmpty(f"{name} is a database of the server itself.", hint=_NEW_NAME)


def refuse_occupied(name: str, found: DatabaseFacts, *, encoding: str, source: bool, partly: bool = False) -> None:
    """
    Raise `TargetNotEmpty` naming what is there, or `TargetIncompatible` for another encoding.

    *source* tells that it is the very database of which the archive is, *partly* that not all of a point is wanted.
    """
    remedy = _RESCUE.format(name) if partly else _NEW_NAME
    if source:
        raise TargetNotEmpty(
            f"{name} is the database that the backup was taken from; it is never restored over.", hint=remedy
        )
    if found.template:
        raise TargetNotEmpty(f"{name} is a template: what lies in it comes into every new database.", hint=remedy)
    if found.objects:
        listed = ", ".join(found.names)
        more = f" and {found.objects - len(found.names)} more" if found.objects > len(found.names) else ""
        whose = f" It was left by the restore {found.restore_id}." if found.restore_id else ""
        raise TargetNotEmpty(
            f"The database {name} holds {listed}{more}.{whose}", hint=remedy if partly else TargetNotEmpty.hint
        )
    if found.locale.encoding != encoding:
        raise TargetIncompatible(
            f"The database {name} has the encoding {found.locale.encoding}, the archive {encoding}.",
            hint="Restore into a new name: Holdfast then creates the database as it has to be.",
        )


def _of_the_server(manifest: Manifest, facts: ServerFacts, client_major: int) -> Iterator[tuple[str, str]]:
    if facts.standby:
        yield "The target's server is a standby.", "Give the primary's address."
    if facts.major > client_major:
        yield (
            f"The target's server is PostgreSQL {facts.major}, Holdfast's programs are {client_major}.",
            "Update Holdfast.",
        )
    missing = [item.name for item in manifest.extensions if item.name not in facts.extensions]
    if missing:
        yield (
            f"The target's server has no extension {', '.join(missing)}.",
            "Install the packages of these extensions there, or allow them.",
        )


def _of_the_lock_table(manifest: Manifest, facts: ServerFacts) -> Iterator[tuple[str, str]]:
    """Yield that what is restored could not be compared: pg_dump locks every table at once."""
    tables, least = len(manifest.tables), least_for_comparing(len(manifest.tables), facts.lock_sessions)
    if least > facts.locks_per_transaction:
        yield (
            f"The lock table of the target's server has room for {facts.locks_per_transaction * facts.lock_sessions} "
            f"objects; comparing {tables} tables locks them all at once, and a fifth stays free for others.",
            f"Set max_locks_per_transaction to at least {least} (it is {facts.locks_per_transaction}) there and "
            "restart it.",
        )


def _of_the_version(facts: ServerFacts, entries: Sequence[TocEntry]) -> Iterator[tuple[str, str]]:
    """Yield what the target's version cannot hold; the remedy is the newest version that any of it needs."""
    found = list(too_new(entries, facts.version))
    if found:
        listed = named(f"{name} ({what})" for name, what, _ in found)
        yield (
            f"The target's server is PostgreSQL {facts.major}, which cannot hold {listed}.",
            f"Restore to PostgreSQL {max(since for _, _, since in found)} or later.",
        )


def warnings_of(manifest: Manifest, facts: ServerFacts, roles: RolesNeeded) -> Iterator[str]:
    """Yield what will be other than in the source although the restore can go on."""
    yield from _of_roles(facts, roles)
    if tried := extensions_tried(manifest, facts):
        yield f"The extension {named(tried)} is a superuser's; it is tried whether {facts.role} may create it."
    for item in manifest.extensions:
        found = facts.extensions.get(item.name)
        if found is not None and found != item.version:
            yield f"The extension {item.name} will be {found}; the source has {item.version}."
    source = manifest.source.server_version // 10_000
    if facts.major < source:
        yield (
            f"The target is older than the source: a definition that PostgreSQL {facts.major} does not know ends the "
            "restore, and names of not-null constraints are not kept before PostgreSQL 18."
        )
    if facts.major != source:
        yield (
            f"The target is PostgreSQL {facts.major}, the source {source}: rules and SQL bodies of functions that "
            "the versions write differently are noted, not compared."
        )
    if any(table.schema_name == MARKS_SCHEMA for table in manifest.tables):
        yield f"Tables of the schema {MARKS_SCHEMA} belong to an earlier restore and are left out."


def of_rows_of_names(
    late: Collection[TableName], naming: Collection[TableName], manifest: Manifest, *, partly: bool
) -> Iterator[str]:
    """Yield what is special about tables with columns of names, such as regclass: those *late*, and all *naming*."""
    if late:
        yield (
            f"Rows of {named(sorted(map(str, late)))} are loaded after indexes and constraints are built, since they "
            "may name those: that takes longer than loading them before."
        )
    found = {TableName.of(table) for table in manifest.tables if table.rows} & set(naming)
    if found and partly:
        yield (
            f"Rows of {named(sorted(map(str, found)))} hold names, such as those of tables: one that names what was "
            "not chosen ends the restore with ContentRefused."
        )


def of_tried(entries: Sequence[TocEntry]) -> Iterator[str]:
    """Yield what nobody knows before whether this server lets this role have it; comparing finds what it refused."""
    names = [entry.name for entry in entries if entry.kind not in {"ACL", "COMMENT"}]
    if names:
        yield f"It is tried whether the target takes: {named(sorted(names))}."


def _of_roles(facts: ServerFacts, roles: RolesNeeded) -> Iterator[str]:
    if roles.missing:
        yield (
            f"The roles {named(roles.missing)} do not exist on the target and are created without passwords, with the "
            f"attributes, settings and memberships that {facts.role} may give. They stay when the database goes."
        )
    if roles.passed_over:
        yield (
            f"The roles {named(roles.passed_over)} do not exist on the target, and {facts.role} may not create them: "
            "they are members or groups of roles that the database names."
        )
    if roles.absent:
        yield (
            f"The roles {', '.join(sorted(roles.absent))} are a provider's own, and the target has no such: what they "
            "own will belong to the role that restores, and grants to them are left out."
        )
    if roles.to_join:
        joined = ", ".join(identifier(name) for name in roles.to_join)
        yield (
            f"The role {facts.role} becomes a member of {named(roles.to_join)} and stays one; "
            f"when no restore needs it any more, it may run: REVOKE {joined} FROM {identifier(facts.role)};"
        )
    if roles.foreign:
        yield (
            f"What belongs to {', '.join(sorted(roles.foreign))} will belong to {facts.role}, "
            "which may not act for the former."
        )

"""Judge what the target's role may do, of all that the archive needs: every obstacle with its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.adapters.postgres.quoting import identifier
from holdfast.adapters.postgres.target import ServerFacts
from holdfast.contracts.manifest import Manifest
from holdfast.model.privileged import forced_row_security, superusers_only
from holdfast.model.toc import TocEntry

NAMED = 5


@dataclass(frozen=True, slots=True)
class RolesNeeded:
    """*missing* roles are created without login, *to_join* granted to ours; for *foreign* ones we may not act."""

    missing: tuple[str, ...]
    to_join: tuple[str, ...]
    foreign: frozenset[str]


def roles_needed(facts: ServerFacts, *, named: Iterable[str], owners: Iterable[str]) -> RolesNeeded:
    """
    Return what has to be done about roles: *named* ones must exist, and we must be able to act for *owners*.

    A superuser may act for everybody.
    """
    missing = tuple(sorted({name for name in named if name and not name.startswith("pg_")} - facts.roles))
    if facts.superuser:
        return RolesNeeded(missing, (), frozenset())
    needed = {owner for owner in owners if owner} - facts.acts_for
    to_join = needed & (facts.may_join | set(missing))
    return RolesNeeded(missing, tuple(sorted(to_join)), frozenset(needed - to_join))


def missing_privileges(
    manifest: Manifest, facts: ServerFacts, roles: RolesNeeded, *, exists: bool, entries: Sequence[TocEntry]
) -> Iterator[tuple[str, str]]:
    """Yield (obstacle, remedy) pairs."""
    role = identifier(facts.role)
    if not exists and not facts.may_create_databases:
        yield f"The role {role} may not create databases.", f"Run as an administrator: ALTER ROLE {role} CREATEDB;"
    if roles.missing and not facts.may_create_roles:
        yield (
            f"The roles {named(roles.missing)} are missing on the target, and {role} may not create roles.",
            f"Create them, or run as an administrator: ALTER ROLE {role} CREATEROLE;",
        )
    if not facts.superuser:
        yield from _of_superusers(manifest, facts, entries)


def extensions_tried(manifest: Manifest, facts: ServerFacts) -> tuple[str, ...]:
    """Return the extensions that are a superuser's, but that this provider may let its administrators create."""
    if facts.superuser or not facts.provider_lends:
        return ()
    return tuple(item.name for item in manifest.extensions if item.name in facts.untrusted_extensions)


def named(names: Iterable[str]) -> str:
    """Return some of *names* for a sentence, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more


def _of_superusers(manifest: Manifest, facts: ServerFacts, entries: Sequence[TocEntry]) -> Iterator[tuple[str, str]]:
    role = identifier(facts.role)
    untrusted = [item.name for item in manifest.extensions if item.name in facts.untrusted_extensions]
    if untrusted and not facts.provider_lends:
        yield (
            f"Only a superuser may create the extension {named(untrusted)} on the target; {role} is none.",
            "Give the target's secret a superuser, or drop the extension from the source if it is not needed.",
        )
    if found := [entry.name for entry in superusers_only(entries)]:
        yield (
            f"Only a superuser may define {named(found)} on the target; {role} is none.",
            "Give the target's secret a superuser.",
        )
    if not facts.bypasses_row_security and (forced := [entry.name for entry in forced_row_security(entries)]):
        yield (
            f"Row security is forced on {named(forced)}, so {role} could not read back what it restored.",
            f"Run as a superuser: ALTER ROLE {role} BYPASSRLS;",
        )

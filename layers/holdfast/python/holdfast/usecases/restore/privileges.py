"""Judge what the target's role may do, of all that the archive needs: every obstacle with its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.adapters.postgres.quoting import identifier
from holdfast.adapters.postgres.target import ServerFacts
from holdfast.contracts.manifest import Manifest
from holdfast.model.privileged import forced_row_security, superusers_only
from holdfast.model.reserved_roles import is_reserved
from holdfast.model.toc import TocEntry

NAMED = 5


@dataclass(frozen=True, slots=True)
class RolesNeeded:
    """
    What has to be done about roles.

    *missing* ones are created, *to_join* granted to ours; for *foreign* ones we may not act. *absent* are those that
    a provider keeps for itself and this server lacks; *passed_over* could only be created by somebody else, and
    nothing in the database needs them.
    """

    missing: tuple[str, ...]
    to_join: tuple[str, ...]
    foreign: frozenset[str]
    absent: frozenset[str] = frozenset()
    passed_over: tuple[str, ...] = ()


def roles_needed(
    facts: ServerFacts, *, named: Iterable[str], owners: Iterable[str], around: Iterable[str] = ()
) -> RolesNeeded:
    """
    Return what has to be done about roles: *named* ones must exist, and we must be able to act for *owners*.

    *around* are groups and members of those. A superuser may act for everybody.
    """
    lacking, owning = {name for name in named if name} - facts.roles, {owner for owner in owners if owner}
    absent = frozenset(name for name in lacking if is_reserved(name))
    beside = {name for name in around if not is_reserved(name)} - facts.roles - lacking
    missing = {name for name in lacking if not is_reserved(name)}
    passed_over = () if facts.may_create_roles else tuple(sorted(beside))
    created = tuple(sorted(missing if passed_over else missing | beside))
    if facts.superuser:
        return RolesNeeded(created, (), absent & owning, absent)
    needed = owning - facts.acts_for
    to_join = needed & (facts.may_join | set(created))
    return RolesNeeded(created, tuple(sorted(to_join)), frozenset(needed - to_join), absent, passed_over)


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

"""Create the roles that a target lacks, and tell what is other than in the source, before and after."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.quoting import identifier
from holdfast.adapters.postgres.roles import ATTRIBUTES, create_role, grant_membership, roles_named
from holdfast.archive.reading import read_object
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.restoring import RestorePlan
from holdfast.contracts.roles import Membership, Role, RolesDocument
from holdfast.model.reserved_roles import is_reserved
from holdfast.model.role_words import RoleFacts, lacking
from holdfast.ports.storage import Archive
from holdfast.usecases.restore.privileges import RolesNeeded


def archived_roles(manifest: Manifest, archive: Archive) -> RolesDocument:
    """Return the archive's roles; nothing is known of them in archives from before they were kept."""
    if manifest.roles_document is None:
        return RolesDocument()
    return RolesDocument.model_validate_json(read_object(archive, manifest.roles_document))


def create_missing(connection: Connection, plan: RestorePlan, archived: RolesDocument) -> None:
    """Create the roles that the plan names, then make them members; may be repeated."""
    known = archived.by_name
    for name in plan.roles_missing:
        create_role(connection, known.get(name, _unknown(name)), superuser=plan.superuser)
    for membership in _in_order(archived.memberships):
        if membership.member in plan.roles_missing:
            grant_membership(connection, membership)


def differing_roles(archived: RolesDocument, found: RolesDocument, *, among: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each role of *among* that the target has, but otherwise than the source."""
    target = found.by_name
    for role in archived.roles:
        if role.name in among and role.name in target and not is_reserved(role.name):
            was, is_ = _facts(role, archived.memberships), _facts(target[role.name], found.memberships)
            if listed := ", ".join(lacking(was, is_)):
                yield f"The role {role.name} has in the source, and not on the target: {listed}."


def differences_of_created(connection: Connection, plan: RestorePlan, archived: RolesDocument) -> list[str]:
    """Return what the roles that this restore created could not be given; raises psycopg's errors."""
    created = set(plan.roles_missing) & archived.by_name.keys()
    return list(differing_roles(archived, roles_named(connection, archived.by_name), among=created))


def warnings_of_roles(archived: RolesDocument, found: RolesDocument, roles: RolesNeeded) -> Iterator[str]:
    """Yield what people have to do about roles, and which of those that exist are other than in the source."""
    known = archived.by_name
    if logins := [name for name in roles.missing if name in known and known[name].login]:
        yield (
            f"The roles {', '.join(logins)} log in as soon as somebody gives them a password, which no archive holds: "
            f"ALTER ROLE {identifier(logins[0])} PASSWORD '…';"
        )
    if unknown := [name for name in roles.missing if name not in known]:
        yield f"Only the names of {', '.join(unknown)} are known to the archive: they may not log in."
    yield from differing_roles(archived, found, among=found.by_name)


def _in_order(memberships: Iterable[Membership]) -> list[Membership]:
    """Return those that may hand on a role first: the others may be granted by them."""
    return sorted(memberships, key=lambda membership: not membership.admin)


def _unknown(name: str) -> Role:
    """Return what a role is that only its name is known of: nobody who may log in."""
    flags = dict.fromkeys(ATTRIBUTES, False)
    return Role.model_validate({"name": name, **flags, "inherit": True})


def _facts(role: Role, memberships: Iterable[Membership]) -> RoleFacts:
    pairs = (setting.partition("=") for setting in role.settings)
    groups = [membership for membership in memberships if membership.member == role.name]
    return RoleFacts(
        attributes={word: getattr(role, name) for name, word in ATTRIBUTES.items()},
        connection_limit=role.connection_limit,
        valid_until=role.valid_until,
        comment=role.comment,
        settings={name: value for name, _, value in pairs},
        groups=_options(groups),
    )


def _options(memberships: Iterable[Membership]) -> dict[str, str]:
    """Return the groups with how one belongs to each; who granted that, and twice, is not looked at."""
    found: dict[str, set[str]] = {}
    for one in memberships:
        # Before PostgreSQL 16 every member may set the role, and inherits where its own attribute says so.
        words = {"admin": one.admin, "no set": one.may_set is False}
        found.setdefault(one.role, set()).update(word for word, true in words.items() if true)
    return {name: " ".join(sorted(words)) for name, words in found.items()}

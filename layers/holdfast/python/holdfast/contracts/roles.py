"""
The roles of a database as data: what a restore creates of those that the target lacks.

Passwords are not in it: nobody but a superuser may read them, and an archive is no place for them.
"""

from __future__ import annotations

from holdfast.contracts.message import Contract


class Role(Contract):
    """One role; *settings* are `name=value`, whose values may be secrets, *valid_until* is the password's."""

    name: str
    login: bool
    inherit: bool
    superuser: bool
    createdb: bool
    createrole: bool
    replication: bool
    bypassrls: bool
    connection_limit: int = -1
    valid_until: str | None = None
    settings: tuple[str, ...] = ()
    comment: str | None = None


class Membership(Contract):
    """*member* belongs to *role*; before PostgreSQL 16 nothing is known of *inherit* and *may_set*."""

    role: str
    member: str
    grantor: str | None = None
    admin: bool
    inherit: bool | None = None
    may_set: bool | None = None


class RolesDocument(Contract):
    """`roles.json`: the roles that a database names, their members, and the groups of all of these."""

    roles: tuple[Role, ...] = ()
    memberships: tuple[Membership, ...] = ()

    @property
    def by_name(self) -> dict[str, Role]:
        """Return the roles by name."""
        return {role.name: role for role in self.roles}

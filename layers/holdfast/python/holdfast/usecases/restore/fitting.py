"""See whether the rows of a point fit into the tables of a database that has them already, all of them empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import psycopg

from holdfast.adapters.postgres import existing
from holdfast.adapters.postgres.connect import Connection, connect
from holdfast.adapters.postgres.contents import database_facts
from holdfast.adapters.postgres.quoting import identifier
from holdfast.adapters.postgres.sending import refused
from holdfast.contracts.restoring import Part
from holdfast.errors import TargetIncompatible, TargetNotEmpty
from holdfast.usecases.limiting import Limit
from holdfast.usecases.restore.parts import Parted
from holdfast.usecases.restore.targets import Place

_NAMED = 5
_UNSEEN = "Triggers and foreign keys of the tables do not see the rows while they are loaded."


def refuse_without_database(part: Part, into: str, *, exists: bool) -> None:
    """Raise `TargetIncompatible` where rows alone are to go into tables that cannot be there."""
    if part.rows_only and not exists:
        raise TargetIncompatible(
            f"There is no database {into}, and rows alone need tables that are there already.",
            hint="Name a database that has them, or restore a schema point into a new one first.",
        )


def fit_rows(parted: Parted, place: Place, into: str, limit: Limit) -> Parted:
    """
    Return *parted* with what the database *into* has of it; *limit* bounds how long to look.

    Raises `TargetNotEmpty` for a database that belongs to somebody else, `TargetIncompatible` for tables that cannot
    take the rows.
    """
    doing = f"looking into the database {into}"
    parameters, name = place.parameters.with_database(into), "holdfast restore assess"
    with (
        connect(parameters, application_name=name, search_path="") as connection,
        limit.around(doing, connection),
    ):
        try:
            _refuse_database(connection, parted, into)
            return _rows_only(connection, parted, into)
        except psycopg.Error as error:
            raise refused(error, doing=doing) from error


def _refuse_database(connection: Connection, parted: Parted, into: str) -> None:
    facts, encoding = database_facts(connection), parted.manifest.source.encoding
    if facts.template:
        raise TargetNotEmpty(f"{into} is a template: what lies in it comes into every new database.")
    if facts.restore_id:
        raise TargetNotEmpty(
            f"The database {into} has marks of the unfinished restore {facts.restore_id}.",
            hint="When that has failed, see what it left, and run: DROP SCHEMA holdfast_restore CASCADE;",
        )
    if facts.locale.encoding != encoding:
        raise TargetIncompatible(
            f"The database {into} has the encoding {facts.locale.encoding}, the archive {encoding}.",
            hint="Restore into a new database.",
        )


def _rows_only(connection: Connection, parted: Parted, into: str) -> Parted:
    manifest = parted.manifest
    if found := list(existing.obstacles(connection, manifest)):
        raise TargetIncompatible(
            _sentence(into, found),
            hint="Rows alone need tables that are there and empty, with the columns of the point. Change the tables, "
            "or restore into a new database and copy from there.",
        )
    quiet = existing.needs_quiet(connection, manifest)
    if quiet and not existing.may_be_quiet(connection):
        role = identifier(connection.info.user)
        raise TargetIncompatible(
            f"Tables of {into} have triggers or foreign keys, and {role} may not keep them still meanwhile.",
            hint=f"Run as a superuser: GRANT SET ON PARAMETER session_replication_role TO {role};",
        )
    views = existing.views_there(connection, manifest)
    return replace(
        parted,
        manifest=manifest.model_copy(update={"materialised_views": views}),
        part=parted.part.model_copy(update={"quiet": quiet}),
        warnings=(
            *parted.warnings,
            *([_UNSEEN] if quiet else []),
            *(existing.unchecked_keys(connection, manifest) if quiet else []),
            *existing.other_columns(connection, manifest),
        ),
    )


def _sentence(into: str, found: Sequence[str]) -> str:
    more = f" And {len(found) - _NAMED} more." if len(found) > _NAMED else ""
    return f"The database {into} cannot take what was chosen. {' '.join(found[:_NAMED])}{more}"

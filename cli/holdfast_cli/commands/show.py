"""`holdfast show POINT`."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from holdfast.contracts.manifest import Manifest
from holdfast.contracts.verify import DigestOf, Verification
from holdfast.model.keys import MANIFEST, VERIFICATION, ArchiveKeys
from holdfast.model.points import PointState, RecoveryPoint
from holdfast_cli import words
from holdfast_cli.session import session
from holdfast_cli.system import System, database_of_point


def show(
    context: typer.Context,
    point: Annotated[str, typer.Argument(help="The id of a recovery point.", show_default=False)],
) -> None:
    """Show one recovery point: its state, its sizes, and its tables with their digests."""
    here = session(context)
    here.system.database(database_of_point(point))
    found = here.system.points.get(point)
    manifest = manifest_of(here.system, found)
    digests = {(each.schema_name, each.name): each for each in _digests(here.system, found)}
    facts = {
        "point": facts_of(found),
        "tables": _tables(manifest, digests) if manifest else [],
        "without_rows": [".".join(name) for name in manifest.without_rows] if manifest else [],
    }

    def people() -> RenderableType:
        return Group(point_table(found, datetime.now(UTC)), _contents(manifest, digests) if manifest else "")

    here.screen.result(facts, people)


def facts_of(point: RecoveryPoint) -> dict[str, Any]:
    """Return the point as JSON gives it."""
    return {**dataclasses.asdict(point), "bytes_shared": point.bytes_shared}


def point_table(point: RecoveryPoint, now: datetime) -> Table:
    """Return the point for people."""
    table = Table.grid(padding=(0, 3))
    rows = [
        ("recovery point", f"[bold]{point.id}[/]"),
        ("state", words.state(point.state)),
        ("kind", words.kind(point.kind)),
        ("mechanism", escape(words.mechanism(point))),
        ("selection", escape(point.selection)),
        ("failure", escape(point.failure)),
        ("tier", point.tier.value),
        ("reason", escape(point.reason)),
        ("data of", f"{words.clock(point.taken_at)} ({words.age(point.taken_at, now)})"),
        ("intact since", words.clock(point.intact_at) if point.intact_at else ""),
        ("proven at", words.clock(point.proven_at) if point.proven_at else ""),
        ("server", f"PostgreSQL {words.major(point.server_version)}" if point.server_version else ""),
        *_sizes(point),
        ("workers", escape(point.workers_why)),
        ("expired", f"{words.clock(point.expired_at)}: {escape(point.expired_why)}" if point.expired_at else ""),
        ("protected", escape(words.protection(point))),
        ("kept until", words.clock(point.keep_until) if point.keep_until else ""),
        ("second region", escape(words.second_region(point))),
        ("execution", point.execution.rpartition(":")[2]),
    ]  # fmt: skip
    for name, value in rows:
        if value:
            table.add_row(f"[dim]{name}[/]", value)
    return table


def _sizes(point: RecoveryPoint) -> list[tuple[str, str]]:
    """Return what is known of the size; of a moment of the provider's history that is nothing."""
    if not point.archived:
        return [("size", words.size(point.bytes_stored) if point.bytes_stored else "")]
    stored = f"{words.size(point.bytes_stored)} stored ({words.compression(point)})"
    parts = f"{words.size(point.bytes_new)} new, {words.size(point.bytes_shared)} shared"
    return [
        ("tables, rows", f"{words.number(point.tables)}, {words.number(point.rows)}"),
        ("size", f"{words.size(point.bytes_plain)} as text, {stored}: {parts}"),
    ]


def manifest_of(system: System, point: RecoveryPoint) -> Manifest | None:
    """Return the manifest, the version that the catalogue pins; None before it is sealed, and once it is gone."""
    if not point.manifest_version or point.state is PointState.EXPIRED:
        return None
    key = ArchiveKeys(point.database).of_point(point.id, MANIFEST)
    return Manifest.model_validate_json(system.archive.read(key, point.manifest_version))


def _digests(system: System, point: RecoveryPoint) -> tuple[DigestOf, ...]:
    """Return what verification found. It is not asked for before: whoever may not list a bucket is refused then."""
    if not (point.archived and point.restorable):
        return ()
    document = system.archive.read(
        ArchiveKeys(point.database).of_point(point.id, VERIFICATION), point.verification_version or None
    )
    return Verification.model_validate_json(document).tables


Digests = dict[tuple[str, str], DigestOf]


def _tables(manifest: Manifest, digests: Digests) -> list[dict[str, Any]]:
    return [
        {
            "schema": content.schema_name,
            "name": content.name,
            "rows": content.rows,
            "bytes_plain": content.plain,
            "bytes_stored": sum(chunk.stored for chunk in content.chunks),
            "chunks": len(content.chunks),
            "digest": digests[key].digest if (key := (content.schema_name, content.name)) in digests else None,
        }
        for content in manifest.contents
    ]


def _contents(manifest: Manifest, digests: Digests) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("\nTABLE", no_wrap=True)
    for heading in ("ROWS", "DATA", "STORED", "CHUNKS"):
        table.add_column(f"\n{heading}", justify="right", no_wrap=True)
    table.add_column("\nDIGEST", no_wrap=True)
    for row in _tables(manifest, digests):
        table.add_row(
            escape(f"{row['schema']}.{row['name']}"),
            words.number(row["rows"]),
            words.size(row["bytes_plain"]),
            words.size(row["bytes_stored"]),
            str(row["chunks"]),
            row["digest"] or "-",
        )
    return table

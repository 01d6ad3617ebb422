"""Write the statements of a restore that do not come from the schema dump."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from holdfast.adapters.postgres.quoting import identifier, literal, qualified
from holdfast.contracts.manifest import LargeObjects, Manifest, MaterialisedView
from holdfast.contracts.manifest import Sequence as SequenceValue
from holdfast.contracts.restoring import SliceDocument
from holdfast.model.database_entries import connection_limit, database_owner, database_statements, statements_in
from holdfast.model.tables import TableName
from holdfast.model.toc import TocEntry

Item = TypeVar("Item")

# Each needs a lock of its own, and the server's room for locks may be small.
OBJECTS_TO_ALTER = 200
SEQUENCES = 500
SMALL_TABLES = 20


def create_large_objects(objects: LargeObjects) -> Iterator[SliceDocument]:
    """Create the objects, empty, before their content is loaded by many at once: a chunk of their list at a time."""
    for number, chunk in enumerate(objects.listed.chunks):
        what = f"{chunk.rows} large objects"
        yield SliceDocument(mark=f"large-objects/{number:06d}", what=what, listed=chunk)


def describe_large_objects(objects: LargeObjects) -> Iterator[SliceDocument]:
    """Give the objects their owners, grants and comments, where they have not got them yet."""
    ranges = dict.fromkeys((chunk.first_block, chunk.end_block) for chunk in objects.listed.chunks)
    for number, described in enumerate(ranges):
        mark = f"large-object-owners/{number:06d}"
        yield SliceDocument(mark=mark, what="owners of large objects", described=described)


def add_schemas(names: Iterable[str]) -> Iterator[SliceDocument]:
    """Create schemas that hold something of the archive, but are not in it themselves."""
    wanted = tuple(f"CREATE SCHEMA IF NOT EXISTS {identifier(name)}" for name in names)
    if wanted:
        yield SliceDocument(mark="added-schemas/000000", what="schemas", statements=wanted)


def lend_creation(owners: Iterable[tuple[str, str]], database: str) -> Iterator[SliceDocument]:
    """
    Let each owner create things where it will own some, as PostgreSQL demands of a new owner.

    Only a superuser can make somebody the owner of a thing that he could not have created.
    """
    yield from _creation("lend", ("GRANT", "TO"), owners, database)


def take_creation_back(owners: Iterable[tuple[str, str]], database: str) -> Iterator[SliceDocument]:
    """Undo what `lend_creation` did; the archive's own grants come after it."""
    yield from _creation("take-back", ("REVOKE", "FROM"), owners, database)


def _creation(
    name: str, words: tuple[str, str], owners: Iterable[tuple[str, str]], database: str
) -> Iterator[SliceDocument]:
    (verb, towards), pairs = words, list(owners)
    places = [(f"DATABASE {identifier(database)}", role) for role in sorted({role for _, role in pairs})]
    places += [(f"SCHEMA {identifier(schema)}", role) for schema, role in pairs if schema]
    for number, some in enumerate(_in_groups(places, SEQUENCES)):
        statements = tuple(f"{verb} CREATE ON {place} {towards} {identifier(role)}" for place, role in some)
        yield SliceDocument(mark=f"{name}/{number:06d}", what="the owners' right to create", statements=statements)


def describe_database(
    entries: Sequence[TocEntry], database: str, *, may_own: Collection[str], superuser: bool
) -> Iterator[SliceDocument]:
    """
    Give the database its owner, if that is one of *may_own*, and its settings, grants and comment.

    What the target's role may not set is passed over here; comparing finds and tells it. So is the limit of
    connections for who is no *superuser*: it would shut this restore out.
    """
    name, owner = identifier(database), database_owner(entries)
    statements = [f"ALTER DATABASE {name} OWNER TO {identifier(owner)}"] if owner in may_own else []
    limit = "" if superuser else connection_limit(entries, name)
    statements += [_if_allowed(each) for each in database_statements(entries, name) if each != limit]
    if statements:
        yield SliceDocument(mark="database/000000", what="the database's own settings", statements=tuple(statements))


def grant_rewritten(entries: Sequence[TocEntry]) -> Iterator[SliceDocument]:
    """Run grants as their definitions say now; grantors are assumed by SET ROLE, which not only superusers may."""
    for number, some in enumerate(_in_groups(entries, OBJECTS_TO_ALTER)):
        statements = tuple(_by_set_role(text) for entry in some for text in statements_in(entry.definition))
        yield SliceDocument(mark=f"rewritten/{number:06d}", what=f"{len(some)} grants", statements=statements)


def _by_set_role(statement: str) -> str:
    text = statement.strip()
    return text.replace(" SESSION AUTHORIZATION", " ROLE", 1) if text.startswith(("SET ", "RESET ")) else text


def define_if_allowed(entries: Sequence[TocEntry]) -> Iterator[SliceDocument]:
    """Run definitions that some providers keep for superusers; comparing finds and tells what was refused."""
    for number, some in enumerate(_in_groups(entries, OBJECTS_TO_ALTER)):
        statements = tuple(_if_allowed(entry.definition) for entry in some)
        what = f"{some[0].name} and {len(some) - 1} more" if len(some) > 1 else some[0].name
        yield SliceDocument(mark=f"if-allowed/{number:06d}", what=what, statements=statements)


def _if_allowed(statement: str) -> str:
    # What is about a thing that was refused, such as its comment, finds no such thing; a label may find no provider.
    refused = "insufficient_privilege OR undefined_object OR invalid_parameter_value"
    body = f"BEGIN EXECUTE {literal(statement)}; EXCEPTION WHEN {refused} THEN NULL; END"
    return f"DO {literal(body)}"


def set_sequences(sequences: Sequence[SequenceValue], *, forward_only: bool = False) -> Iterator[SliceDocument]:
    """
    Set the sequences' values.

    With *forward_only* others may draw numbers meanwhile: each statement fails where it would take one back, and is a
    transaction by itself, since whoever holds two locks can be in the way of who wants them in another order.
    """
    set_one = _set_forward if forward_only else _set_value
    for number, some in enumerate(_in_groups(sequences, 1 if forward_only else SEQUENCES)):
        what = f"sequence {TableName.of(some[0])}" if len(some) == 1 else f"{len(some)} sequences"
        statements = tuple(set_one(item) for item in some)
        yield SliceDocument(mark=f"sequences/{number:06d}", what=what, statements=statements)


def _set_value(item: SequenceValue) -> str:
    return f"SELECT {_set(item)}"


def _set(item: SequenceValue) -> str:
    name = literal(qualified(item.schema_name, item.name))
    return f"pg_catalog.setval({name}::pg_catalog.regclass, {item.value}, {str(item.called).lower()})"


def _set_forward(item: SequenceValue) -> str:
    """
    Return what sets a sequence that is not ahead; numbers that somebody was given must not come again.

    Altering it, to what it is, is the one way to keep others from drawing numbers between the look and the setting.
    """
    name, called = qualified(item.schema_name, item.name), str(item.called).lower()
    settings = f"FROM pg_catalog.pg_sequence WHERE seqrelid = {literal(name)}::pg_catalog.regclass"
    alter = literal(f"ALTER SEQUENCE {name} CACHE ".replace("%", "%%") + "%s")
    lock = f"EXECUTE pg_catalog.format({alter}, (SELECT seqcache {settings}))"
    rises = f"SELECT seqincrement > 0 {settings}"
    further = f"CASE WHEN ({rises}) THEN last_value > {item.value} ELSE last_value < {item.value} END"
    further += f" OR (last_value = {item.value} AND is_called AND NOT {called})"
    there = f"SELECT 1 FROM {name} WHERE last_value = {item.value} AND is_called = {called}"  # noqa: S608
    ahead = f"SELECT 1 FROM {name} WHERE {further}"  # noqa: S608
    said = literal(f"The sequence {item.schema_name}.{item.name} is ahead of the point.")
    failed = f"RAISE EXCEPTION USING MESSAGE = {said}, ERRCODE = '55000'"
    body = f"IF EXISTS ({there}) THEN RETURN; END IF; {lock}; IF EXISTS ({ahead}) THEN {failed}; END IF"
    return f"DO {literal(f'BEGIN {body}; PERFORM {_set(item)}; END')}"


def refresh(views: Sequence[MaterialisedView], *, last: bool) -> Iterator[SliceDocument]:
    """
    Refresh materialised views, each in a transaction of its own.

    One may read another in a way that PostgreSQL does not know of, in the text of a function. It is left where that
    one has no rows yet, and *last* come once more all that are left: twice, as one of them may wait for another.
    """
    for unready in ("leave", "tell") if last else ("leave",):
        for view in views:
            name = qualified(view.schema_name, view.name)
            yield SliceDocument(
                mark=f"refresh/{_short(name)}",
                what=f"materialised view {view.schema_name}.{view.name}",
                lasting=True,
                when_unready=unready,
                statements=(f"REFRESH MATERIALIZED VIEW {name}",),
            )


def analyze(
    manifest: Manifest,
    parents: Iterable[TableName],
    *,
    above_foreign: Collection[TableName],
    large: int,
    version: int,
) -> Iterator[SliceDocument]:
    """
    Collect statistics of every table: those of *large* bytes one by one, small ones together.

    *parents* are partitioned tables; since PostgreSQL 18 ONLY keeps ANALYZE from reading the partitions again.
    Those in *above_foreign* are left out: nothing keeps ANALYZE from asking another server for the rows below.
    """
    sizes = {TableName(table.schema_name, table.name): table.plain for table in manifest.tables}
    sizes |= {TableName(view.schema_name, view.name): 0 for view in manifest.materialised_views}
    only = "ONLY " if version >= 180_000 else ""
    wanted = [("", name, size) for name, size in sizes.items()] + [(only, name, 0) for name in parents]
    commands = [
        (f"ANALYZE {only}{qualified(name.schema, name.name)}", str(name), size)
        for only, name, size in wanted
        if name not in above_foreign
    ]
    alone = sorted((command for command in commands if command[2] >= large), key=lambda command: -command[2])
    together = [command for command in commands if command[2] < large]
    for number, some in enumerate([*([command] for command in alone), *_in_groups(together, SMALL_TABLES)]):
        more = f" and {len(some) - 1} more" if len(some) > 1 else ""
        yield SliceDocument(
            mark=f"analyze/{number:06d}",
            what=f"statistics of {some[0][1]}{more}",
            lasting=True,
            statements=tuple(command for command, _, _ in some),
        )


def _short(name: str) -> str:
    """Return a name for marks, which the names of sessions have to hold."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _in_groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some

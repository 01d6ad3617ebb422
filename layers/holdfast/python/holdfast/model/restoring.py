"""
Cut the schema dump of a restore into stages, batches and slices.

The order follows pg_restore: definitions, rows, then indexes and constraints, grants after everything that they
name, event triggers last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.model.building import ABOUT, foreign_key_stages, index_stages, tables_of
from holdfast.model.database_entries import is_about_the_database
from holdfast.model.incomplete import dangling
from holdfast.model.rows_of_names import is_behaviour
from holdfast.model.slices import Slice, StagePlan, in_order, pack
from holdfast.model.tables import TableName
from holdfast.model.toc import Section, TocEntry

MARKS_SCHEMA = "holdfast_restore"
PUBLIC = "SCHEMA public"

# Not entries to run: settings that pg_restore writes anyway, the database itself, and what the manifest has.
_NEVER = {"ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES", "SEQUENCE SET"}
_NEVER |= {"TABLE DATA", "MATERIALIZED VIEW DATA", "BLOB", "BLOBS", "BLOB METADATA", "STATISTICS DATA"}
_SUBSCRIPTIONS = {"SUBSCRIPTION", "SUBSCRIPTION TABLE"}
_IF_ALLOWED = {"EVENT TRIGGER", "PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA"}
_GRANTS = {"ACL", "ACL LANGUAGE", "DEFAULT ACL"}
_BUILT_BESIDE = {"INDEX", "CONSTRAINT"}

SLICE_ENTRIES = 200
PREPARE_ROUNDS = 400
MOST_SERIAL = 40
"""Of the 100 stages that the machine goes through."""


@dataclass(frozen=True, slots=True)
class SchemaPlan:
    """
    What becomes of each entry of the schema dump.

    *schemas* and *before* are the slices before rows; the others are stages after them. *behaviour* are those of the
    definitions that have to wait for rows that come late. *rewritten* are grants that run as their definitions say.
    *left_out* are (name, reason) pairs; *if_allowed* are entries that a provider may or may not let its administrators
    run, *unowned* those that stay with the role that restores. *owners* are (schema, role) pairs: the role will own
    something in the schema, which without a superuser's help it only can while it may create things there.
    """

    schemas: tuple[Slice, ...]
    before: tuple[Slice, ...]
    indexes: tuple[StagePlan, ...]
    definitions: tuple[StagePlan, ...]
    behaviour: tuple[StagePlan, ...]
    foreign_keys: tuple[StagePlan, ...]
    grants: StagePlan
    event_triggers: StagePlan
    rewritten: tuple[TocEntry, ...]
    left_out: tuple[tuple[str, str], ...]
    restored: tuple[int, ...]
    if_allowed: tuple[TocEntry, ...]
    unowned: frozenset[int]
    owners: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Sorted:
    before: list[TocEntry] = field(default_factory=list)
    beside: list[TocEntry] = field(default_factory=list)
    definitions: list[TocEntry] = field(default_factory=list)
    behaviour: list[TocEntry] = field(default_factory=list)
    foreign_keys: list[TocEntry] = field(default_factory=list)
    grants: list[TocEntry] = field(default_factory=list)
    event_triggers: list[TocEntry] = field(default_factory=list)
    rewritten: list[TocEntry] = field(default_factory=list)
    if_allowed: list[TocEntry] = field(default_factory=list)

    def all(self) -> list[TocEntry]:
        groups = (self.before, self.beside, self.definitions, self.behaviour, self.foreign_keys, self.grants)
        return [entry for group in (*groups, self.event_triggers, self.rewritten) for entry in group]


def plan_schema(
    entries: Sequence[TocEntry],
    *,
    table_bytes: Mapping[TableName, int],
    superuser: bool,
    foreign_roles: frozenset[str] = frozenset(),
    rewritten: Collection[int] = (),
    partial: bool = False,
    rows_late: bool = False,
) -> SchemaPlan:
    """
    Cut the schema dump into slices.

    *table_bytes* are the rows' sizes, *foreign_roles* those that the target's role cannot act for. Grants that are
    *rewritten* run as their definitions say, not as the dump's file does. In a *partial* dump, what needs a table
    that is not there is left out. Where rows come late (*rows_late*), triggers and the like come after those.
    """
    without = dict(dangling(entries)) if partial else {}
    left_out, kept = _split(entries, without, superuser=superuser, foreign_roles=foreign_roles)
    sorted_ = _sort(kept, superuser=superuser, rewritten=rewritten, rows_late=rows_late)
    tables = tables_of(entries, table_bytes)
    size = max(SLICE_ENTRIES, -(-len(sorted_.before) // PREPARE_ROUNDS))
    most = MOST_SERIAL // 2 if rows_late else MOST_SERIAL
    # Schemas depend on nothing, so they may come first; who may create things in them is settled next.
    schemas = [entry for entry in sorted_.before if entry.kind == "SCHEMA"]
    return SchemaPlan(
        schemas=in_order("schemas", schemas, size),
        before=in_order("before", [entry for entry in sorted_.before if entry.kind != "SCHEMA"], size),
        indexes=index_stages(sorted_.beside, tables),
        definitions=_serial_stages("definitions", sorted_.definitions, most=most),
        behaviour=_serial_stages("behaviour", sorted_.behaviour, most=most),
        foreign_keys=foreign_key_stages(sorted_.foreign_keys, tables),
        grants=StagePlan("grants", _one_batch("grants", sorted_.grants)),
        event_triggers=StagePlan("event-triggers", _one_batch("event-triggers", sorted_.event_triggers)),
        rewritten=tuple(sorted_.rewritten),
        left_out=tuple((entry.name, reason) for entry, reason in left_out),
        restored=tuple(entry.number for entry in sorted_.all()),
        if_allowed=tuple(sorted_.if_allowed),
        unowned=frozenset(entry.number for entry in kept if entry.owner in foreign_roles),
        owners=tuple(sorted({(entry.schema, entry.owner) for entry in kept if entry.owner})),
    )


def _split(
    entries: Sequence[TocEntry], without: Mapping[TocEntry, str], *, superuser: bool, foreign_roles: frozenset[str]
) -> tuple[list[tuple[TocEntry, str]], list[TocEntry]]:
    left_out: list[tuple[TocEntry, str]] = []
    kept = []
    for entry in entries:
        if entry.kind in _NEVER or is_about_the_database(entry):
            continue
        if reason := without.get(entry, "") or _reason_to_leave_out(
            entry, superuser=superuser, foreign_roles=foreign_roles
        ):
            left_out.append((entry, reason))
        else:
            kept.append(entry)
    return left_out, kept


def _reason_to_leave_out(entry: TocEntry, *, superuser: bool, foreign_roles: frozenset[str]) -> str:
    if MARKS_SCHEMA in {entry.schema, entry.tag if entry.kind == "SCHEMA" else ""}:
        return "It is left over from an earlier restore."
    if entry.kind in _SUBSCRIPTIONS:
        return "A copy that drops its subscription would drop the original's replication slot."
    if entry.kind == "COMMENT" and entry.tag.startswith("EXTENSION ") and not superuser:
        return "Only the extension's owner may comment on it."
    if entry.kind == "DEFAULT ACL" and entry.owner in foreign_roles:
        return f"Only {entry.owner} may change its default privileges."
    return ""


def _sort(entries: Iterable[TocEntry], *, superuser: bool, rewritten: Collection[int], rows_late: bool) -> _Sorted:
    """Put each entry where it is run; comments and labels follow what they are about."""
    result = _Sorted()
    places: dict[int, list[TocEntry]] = {}
    beside: set[int] = set()
    kept = list(entries)
    numbers = {entry.number for entry in kept}
    post_data = {entry.number for entry in kept if entry.section is Section.POST_DATA}
    for entry in kept:
        if entry.kind == "SECURITY LABEL":
            # Only a server that has loaded the labels' provider takes them.
            place = result.if_allowed
        elif entry.kind in ABOUT and entry.depends_on and entry.depends_on[0] in places:
            place = places[entry.depends_on[0]]
        elif not superuser and _may_be_refused(entry, numbers):
            place = result.if_allowed
        elif entry.number in rewritten:
            place = result.rewritten
        elif rows_late and is_behaviour(entry):
            place = result.behaviour
        elif entry.kind in _BUILT_BESIDE and all(n in beside for n in entry.depends_on if n in post_data):
            beside.add(entry.number)
            place = result.beside
        else:
            place = _place_of(entry, result)
        places[entry.number] = place
        place.append(entry)
    return result


def _may_be_refused(entry: TocEntry, numbers: Collection[int]) -> bool:
    """Answer whether only some servers let their administrators run *entry*: what the server brought is not theirs."""
    if entry.tag == PUBLIC:
        # It belongs to the database's owner, who is somebody else where the database was there before.
        return entry.kind in {"ACL", "COMMENT"}
    if entry.kind == "ACL":
        return not any(number in numbers for number in entry.depends_on)
    return entry.kind in _IF_ALLOWED


def _place_of(entry: TocEntry, result: _Sorted) -> list[TocEntry]:
    if entry.kind in _GRANTS:
        return result.grants
    if entry.kind == "FK CONSTRAINT":
        return result.foreign_keys
    if entry.kind == "EVENT TRIGGER":
        return result.event_triggers
    return result.definitions if entry.section is Section.POST_DATA else result.before


def _serial_stages(name: str, entries: Sequence[TocEntry], *, most: int) -> tuple[StagePlan, ...]:
    """Return stages of one batch each, which keeps the order and lets each end in time; at *most* so many of them."""
    slices = in_order(name, entries, SLICE_ENTRIES)
    each = max(20, -(-len(slices) // most))
    groups = pack(slices, lambda _: 1, each, each)
    return tuple(StagePlan(f"{name}-{number}", (group,)) for number, group in enumerate(groups))


def _one_batch(name: str, entries: Sequence[TocEntry]) -> tuple[tuple[Slice, ...], ...]:
    slices = in_order(name, entries, SLICE_ENTRIES)
    return (slices,) if slices else ()

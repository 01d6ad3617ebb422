"""One of everything goes into the archive and comes back, compared without Holdfast's own code."""

from __future__ import annotations

from difflib import unified_diff

import pytest

from roundtrip.servers import RoundTrip, entries

pytestmark = pytest.mark.xdist_group("everything")

# What PostgreSQL itself prints otherwise once it was restored, by whatever means.
REWORDED = {
    "attached; Type: TABLE",
    "atomic_procedure(integer); Type: PROCEDURE",
    "by_list(character varying, text[]); Type: FUNCTION",
    "everything; Type: DATABASE PROPERTIES",
    "accounts narrowing; Type: POLICY",
    "kept; Type: MATERIALIZED VIEW",
    "listed also; Type: RULE",
    "listed listed_id_excl; Type: CONSTRAINT",
    "listed only_some; Type: POLICY",
    "listed sometimes; Type: TRIGGER",
    "listed; Type: TABLE",
    "listed_expression; Type: INDEX",
    "listed_partial; Type: INDEX",
    "of_list; Type: STATISTICS",
    "seen; Type: VIEW",
    "status; Type: DOMAIN",
}


def test_holdfast_calls_it_equal(everything: RoundTrip) -> None:
    assert everything.ended.proof.differences == ()
    assert everything.ended.proof.proven


def test_pg_dump_writes_the_same_of_both(everything: RoundTrip) -> None:
    was, is_ = (entries(dump) for dump in everything.dumps())

    differing = {
        heading.partition("; Schema")[0] for heading in was.keys() | is_ if was.get(heading) != is_.get(heading)
    }
    assert differing == REWORDED
    assert len(was) > 680


def test_plain_programs_restore_the_same(everything: RoundTrip) -> None:
    target = everything.target
    target.query("postgres", "CREATE DATABASE plain TEMPLATE template0")
    target.fill("plain", everything.source.dump(everything.name, "--schema-only"))

    was, is_ = (target.dump(name, "--schema-only") for name in ("plain", everything.into))

    assert "\n".join(unified_diff(was.splitlines(), is_.splitlines(), "plain", "restored", lineterm="", n=4)) == ""


def test_every_row_is_the_same(everything: RoundTrip) -> None:
    was, is_ = everything.rows()

    assert {table for table in was.keys() | is_ if was.get(table) != is_.get(table)} == set()
    assert len(was) > 140


def test_large_objects_keep_owners_rights_comments_and_pages(everything: RoundTrip) -> None:
    query = """SELECT oid, lomowner::regrole::text, lomacl::text, obj_description(oid, 'pg_largeobject'),
                      md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY 1"""

    was, is_ = everything.source.query(everything.name, query), everything.target.query(everything.into, query)

    assert was == is_
    assert len(was) == 4


def test_only_what_differs_by_nature_is_noted(everything: RoundTrip) -> None:
    known = (
        "The roles ",
        "Left out: statistics of the table foreign_data.",
        "Computed anew",
        "Rows of partitions.by_hash_of_enum_",
        "Rows of columns.defaults, values.referring are loaded after",
    )
    order = (
        "The table inheritance.attached inherits: the order of its columns is another, as pg_dump restores such tables."
    )

    assert [note for note in everything.ended.report.notes if not note.startswith(known)] == [order]

"""Reading a schema dump's table of contents, with names that pg_restore's own list garbles."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from holdfast.adapters.postgres import programs
from holdfast.adapters.postgres.scripts import schema_dump
from holdfast.errors import UnexpectedState
from holdfast.model.database_entries import is_about_the_database
from holdfast.model.restoring import plan_schema
from holdfast.model.toc import Section, TocEntry, read_parts, read_toc
from holdfast.model.toc_writing import SchemaParts
from restore.conftest import Databases

NAMES = [
    "a b",
    'q"uote',
    "new\nline",
    "semi;colon",
    "-- dash",
    "back\\slash",
    "tab\there",
    "🐘 ümlaut",
    "TABLE x",
    "'",
    "$$",
]


def dumped(databases: Databases, name: str) -> bytes:
    return programs.run("pg_dump", ["-Fc", "--schema-only", "--sequence-data"], databases.parameters(name))


@pytest.fixture(scope="module")
def odd(databases: Databases) -> str:
    quoted = ['"' + name.replace('"', '""') + '"' for name in NAMES]
    both = "CREATE SCHEMA {0}; CREATE TABLE {0}.{0} ({0} int); CREATE INDEX ON {0}.{0} ({0})"
    statements = [both.format(name) for name in quoted]
    return databases.create("; ".join(statements))


def test_odd_names_are_read_exactly(databases: Databases, odd: str) -> None:
    entries = read_toc(dumped(databases, odd))

    tables = {(entry.schema, entry.tag) for entry in entries if entry.kind == "TABLE"}
    assert tables == {(name, name) for name in NAMES}


def test_every_entry_of_pg_restores_own_list_is_read(databases: Databases, shop: str) -> None:
    archive = dumped(databases, shop)
    listed = programs.run("pg_restore", ["--list"], given=archive).decode()

    entries = read_toc(archive)

    numbers = [int(found) for found in re.findall(r"^(\d+); \d+ \d+ ", listed, re.MULTILINE)]
    settings = {"ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE"}
    expected = [entry for entry in entries if entry.kind not in settings and not is_about_the_database(entry)]
    assert [entry.number for entry in expected] == numbers


def test_entries_have_what_planning_needs(databases: Databases, shop: str) -> None:
    entries = read_toc(dumped(databases, shop))

    users = next(entry for entry in entries if (entry.kind, entry.tag) == ("TABLE", "users"))
    key = next(entry for entry in entries if entry.tag == "users users_pkey")
    assert (users.schema, users.owner, users.section, users.relkind) == ("app", "shop_owner", Section.PRE_DATA, "r")
    assert users.definition.startswith("CREATE TABLE app.users (")
    assert users.number in key.depends_on
    assert key.section is Section.POST_DATA


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"SELECT 1;", id="plain SQL"),
        pytest.param(lambda archive: archive[:200], id="cut short"),
        pytest.param(lambda archive: archive[:5] + b"\x01\x63" + archive[7:], id="an unknown version"),
        pytest.param(lambda archive: archive[:10] + b"\x03" + archive[11:], id="another format"),
    ],
)
def test_anything_else_is_refused(databases: Databases, odd: str, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(UnexpectedState):
        read_toc(change(dumped(databases, odd)))


def test_a_script_has_only_what_was_asked_for_and_no_command_of_psql(databases: Databases, shop: str) -> None:
    archive = dumped(databases, shop)
    entries = {(entry.kind, entry.tag): entry for entry in read_toc(archive)}
    wanted: list[TocEntry] = [entries["FUNCTION", "touch()"], entries["TABLE", "users"]]

    with schema_dump(archive) as dump:
        script = dump.script(entry.number for entry in wanted)

    text = script.text.decode()
    assert script.encoding == "UTF8"
    assert text.index("CREATE FUNCTION") < text.index("CREATE TABLE")
    assert text.count("CREATE ") == 2
    assert re.findall(r"^\\.*$", text, re.MULTILINE) == ["\\restrict foo"]
    assert "transaction_timeout" not in text
    assert "SET client_min_messages" not in text


def test_a_part_of_a_dump_gives_the_same_script_as_the_whole(databases: Databases, shop: str, odd: str) -> None:
    for name in (shop, odd):
        archive = dumped(databases, name)
        parts = SchemaParts(read_parts(archive))
        # Backwards: the order asked for counts, not the archive's.
        wanted = plan_schema(read_toc(archive), table_bytes={}, superuser=True).restored[::-1]

        with schema_dump(archive) as whole, schema_dump(part := parts.of(wanted)) as dump:
            assert dump.script(wanted).text == whole.script(wanted).text

        assert sorted(entry.number for entry in read_toc(part) if entry.number in wanted) == sorted(wanted)

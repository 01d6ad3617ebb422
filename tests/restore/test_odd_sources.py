"""Sources whose own data or definitions make PostgreSQL refuse them: named, and restored as far as that goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast.adapters.postgres.target import creation_options
from holdfast.contracts.restoring import Locale
from holdfast.errors import ConstraintViolated, ContentRefused
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine

BROKEN_KEY = """
CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p, q int REFERENCES p);
INSERT INTO p VALUES (1);
SET session_replication_role = replica; INSERT INTO c VALUES (9, 1); RESET session_replication_role
"""
BROKEN_CHECK = """
CREATE FUNCTION lim() RETURNS int LANGUAGE sql AS $$ SELECT 10 $$;
CREATE TABLE c (p int CONSTRAINT small CHECK (p < lim())); INSERT INTO c VALUES (9);
CREATE OR REPLACE FUNCTION lim() RETURNS int LANGUAGE sql AS $$ SELECT 5 $$
"""


@pytest.fixture
def ready(databases: Databases, archiver: Archiver, wired: Callable[..., Machine]) -> Callable[[str], Machine]:
    """Return a function that archives a script's database."""

    def make(script: str) -> Machine:
        source = databases.create(script)
        archiver.take(databases.parameters(source))
        return wired(source)

    return make


@pytest.mark.usefixtures("any_size")
def test_a_foreign_key_that_rows_break_is_restored_unchecked_and_told(
    ready: Callable[[str], Machine], databases: Databases
) -> None:
    into = databases.name()

    ended = ready(BROKEN_KEY).run(into)

    keys = databases.run(into, "SELECT conname, convalidated FROM pg_constraint WHERE contype = 'f' ORDER BY 1")
    assert keys == [("c_p_fkey", False), ("c_q_fkey", True)]
    assert databases.run(into, "SELECT p, q FROM c") == [(9, 1)]
    assert not ended.proof.proven
    assert len(ended.proof.differences) == 1
    assert "c_p_fkey" in ended.proof.differences[0]
    assert any("fk constraint public.c c_p_fkey is not validated" in note for note in ended.report.notes)


def test_a_check_that_rows_break_is_named_with_its_table(ready: Callable[[str], Machine], databases: Databases) -> None:
    with pytest.raises(ConstraintViolated) as caught:
        ready(BROKEN_CHECK).run(databases.name())

    assert "constraint small of public.c" in caught.value.message
    assert "9" not in caught.value.message


def test_a_view_whose_query_fails_is_left_empty_and_told(ready: Callable[[str], Machine], databases: Databases) -> None:
    into = databases.name()

    ended = ready(
        "CREATE TABLE s (t text); INSERT INTO s VALUES ('1'); CREATE MATERIALIZED VIEW v AS SELECT t::int FROM s;"
        "UPDATE s SET t = 'alice'"
    ).run(into)

    assert ended.proof.differences == ("The materialised view public.v has not been refreshed.",)
    told = [note for note in ended.report.notes if "its query fails" in note]
    assert len(told) == 1
    assert "public.v" in told[0]
    assert "22P02" in told[0]
    assert "alice" not in told[0]


def test_a_value_that_names_what_is_not_there_stays_out_of_the_error(
    ready: Callable[[str], Machine], databases: Databases
) -> None:
    machine = ready("CREATE SCHEMA alice; CREATE TABLE c (r regnamespace); INSERT INTO c VALUES ('alice')")
    into = databases.name()
    machine.between["prepared"] = lambda: databases.run(into, "DROP SCHEMA alice")

    with pytest.raises(ContentRefused, match=r"column r of the table public\.c .*3F000") as caught:
        machine.run(into)

    assert "alice" not in str(caught.value)


@pytest.mark.parametrize(
    ("locale", "options"),
    [
        pytest.param({"provider": "libc"}, {"LOCALE_PROVIDER": "libc"}, id="the C library's"),
        pytest.param(
            {"provider": "icu", "icu_locale": "en", "icu_rules": "&V << w"},
            {"LOCALE_PROVIDER": "icu", "ICU_LOCALE": "en", "ICU_RULES": "&V << w"},
            id="ICU's, with rules of its own",
        ),
        pytest.param(
            {"provider": "builtin", "icu_locale": "C.UTF-8"},
            {"LOCALE_PROVIDER": "builtin", "BUILTIN_LOCALE": "C.UTF-8"},
            id="PostgreSQL's own",
        ),
    ],
)
def test_a_database_is_created_with_its_locale(locale: dict[str, str], options: dict[str, str]) -> None:
    found = creation_options(Locale(encoding="UTF8", collate="C", ctype="C", **locale), 180_000)

    always = {"TEMPLATE": "template0", "ENCODING": "UTF8", "LC_COLLATE": "C", "LC_CTYPE": "C"}
    assert dict(found) == {**always, **options}

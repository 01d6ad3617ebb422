"""Security labels, which only a server with their provider takes, never end a restore and are told by name."""

from __future__ import annotations

from roundtrip.servers import Place, round_trip

LABELLED = """
CREATE TABLE t (a int, b text); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
INSERT INTO t VALUES (1, 'x');
SET allow_system_table_mods = on;
INSERT INTO pg_seclabel SELECT 't'::regclass, 'pg_class'::regclass, 2, 'anon', 'MASKED WITH VALUE ''x''; --';
INSERT INTO pg_seclabel SELECT 'f'::regproc, 'pg_proc'::regclass, 0, 'anon', 'TRUSTED';
"""


def test_labels_that_the_target_does_not_take_are_told(source: Place, target: Place) -> None:
    source.query("postgres", "CREATE DATABASE labelled TEMPLATE template0")
    source.fill("labelled", LABELLED)

    trip = round_trip(source, "labelled", target, "labelled_again")

    told = [note for note in trip.ended.report.notes if "security label" in note]
    assert trip.ended.proof.differences == ()
    assert sorted(told) == [
        "It is tried whether the target takes: security label public.FUNCTION f(), security label public.TABLE t.",
        "The security label public.FUNCTION f() is missing.",
        "The security label public.TABLE t is missing.",
    ]
    assert target.query(trip.into, "SELECT * FROM t") == [(1, "x")]

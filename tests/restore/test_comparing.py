"""Grants are compared by what they mean, not by how they are written."""

from __future__ import annotations

import pytest

from holdfast.model.comparing import Restorer, compare_grants
from holdfast.model.grants import Grant, grants_of
from holdfast.model.toc import Section, TocEntry

TAG = "TABLE t"


def grants(definition: str, *, owner: str = "app", tag: str = TAG) -> TocEntry:
    return TocEntry(
        number=1, kind="ACL", tag=tag, section=Section.NONE, schema="public", owner=owner, definition=definition
    )


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        pytest.param("GRANT SELECT ON TABLE t TO bob;\n", [Grant("GRANT", "SELECT", "bob")], id="one"),
        pytest.param(
            "GRANT SELECT,INSERT ON TABLE t TO PUBLIC;\n",
            [Grant("GRANT", "SELECT", "PUBLIC"), Grant("GRANT", "INSERT", "PUBLIC")],
            id="two rights",
        ),
        pytest.param(
            'GRANT SELECT("a, ON b"),UPDATE(c) ON TABLE t TO "odd ""one" WITH GRANT OPTION;\n',
            [Grant("GRANT", 'SELECT("a, ON b")', 'odd "one', True), Grant("GRANT", "UPDATE(c)", 'odd "one', True)],
            id="columns and odd names",
        ),
        pytest.param(
            'SET SESSION AUTHORIZATION "the owner";\nGRANT ALL ON FUNCTION f(a integer, b text) TO bob;\n'
            "RESET SESSION AUTHORIZATION;\nREVOKE ALL ON FUNCTION f(a integer, b text) FROM PUBLIC;\n",
            [Grant("GRANT", "ALL", "bob", grantor="the owner"), Grant("REVOKE", "ALL", "PUBLIC")],
            id="another grantor",
        ),
        pytest.param(
            "REVOKE GRANT OPTION FOR SELECT ON TABLE t FROM bob;\n",
            [Grant("REVOKE", "SELECT", "bob", True)],
            id="only the option",
        ),
        pytest.param("DO WHAT YOU LIKE;\n", [Grant("DO WHAT YOU LIKE")], id="unknown"),
    ],
)
def test_reads_grants(definition: str, expected: list[Grant]) -> None:
    assert list(grants_of(definition)) == expected


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        pytest.param(
            "GRANT SELECT,INSERT ON TABLE t TO bob;\n",
            "GRANT INSERT ON TABLE t TO bob;\nGRANT SELECT ON TABLE t TO bob;\n",
            "",
            id="another order",
        ),
        pytest.param("GRANT SELECT ON TABLE t TO bob;\n", "", "is missing", id="missing"),
        pytest.param("", "GRANT SELECT ON TABLE t TO bob;\n", "is not in the archive", id="too much"),
        pytest.param(
            "GRANT SELECT ON TABLE t TO bob;\n", "GRANT ALL ON TABLE t TO bob;\n", "differently", id="other right"
        ),
        pytest.param(
            "GRANT SELECT ON TABLE t TO bob;\n",
            "GRANT SELECT ON TABLE t TO bob WITH GRANT OPTION;\n",
            "differently",
            id="other option",
        ),
    ],
)
def test_compares_grants(before: str, after: str, sentence: str) -> None:
    found = compare_grants([grants(before)], [grants(after)], Restorer()).all

    assert bool(found) == bool(sentence)
    assert all(sentence in each for each in found)


def test_grants_to_the_old_and_the_new_owner_mean_nothing() -> None:
    before = grants("GRANT SELECT ON TABLE t TO us;\nREVOKE ALL ON TABLE t FROM them;\n", owner="them")

    found = compare_grants([before], [], Restorer("us", False, frozenset({"them"})))

    assert found.all == ()


def test_grants_to_others_count_whoever_owns() -> None:
    before = grants("GRANT SELECT ON TABLE t TO bob;\n", owner="them")

    found = compare_grants([before], [], Restorer("us", False, frozenset({"them"})))

    assert found.all == ("The acl public.TABLE t is missing.",)

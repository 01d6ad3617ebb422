"""Roles that a target cannot have are taken out of a schema, statement by statement."""

from __future__ import annotations

from holdfast.model.absent_roles import pruned
from holdfast.model.toc import Section, TocEntry

ABSENT = frozenset({"rds_superuser", 'rds "odd'})


def entry(kind: str, definition: str, **others: str) -> TocEntry:
    return TocEntry(number=7, kind=kind, tag="t", section=Section.NONE, definition=definition, **others)


def definition_without(kind: str, definition: str) -> str | None:
    found = pruned([entry(kind, definition)], ABSENT)
    return found.entries[0].definition if found.entries else None


def test_grants_to_others_stay() -> None:
    text = 'GRANT SELECT ON TABLE s.t TO rds_superuser;\nGRANT SELECT ON TABLE s.t TO "a; TO rds_superuser";\n'

    assert definition_without("ACL", text) == 'GRANT SELECT ON TABLE s.t TO "a; TO rds_superuser";\n'


def test_what_an_absent_role_granted_goes_with_it() -> None:
    by = 'SET SESSION AUTHORIZATION "rds ""odd";\nGRANT SELECT ON TABLE t TO x;\nRESET SESSION AUTHORIZATION;\n'

    assert definition_without("ACL", by) is None
    assert definition_without("ACL", by + "GRANT SELECT ON TABLE t TO x WITH GRANT OPTION;\n") == (
        "GRANT SELECT ON TABLE t TO x WITH GRANT OPTION;\n"
    )


def test_default_privileges_policies_and_mappings_of_absent_roles_go() -> None:
    default = "ALTER DEFAULT PRIVILEGES FOR ROLE x REVOKE ALL ON TABLES FROM rds_superuser;\n"

    assert definition_without("DEFAULT ACL", default) is None
    assert definition_without("POLICY", 'CREATE POLICY p ON s.t FOR SELECT TO a, "rds ""odd" USING (true);\n') is None
    assert (
        definition_without("POLICY", "CREATE POLICY p ON s.t TO a USING ((x = 'rds_superuser'::text));\n") is not None
    )
    assert definition_without("USER MAPPING", "CREATE USER MAPPING FOR rds_superuser SERVER s;\n") is None


def test_settings_and_ownership_of_the_database_lose_absent_roles() -> None:
    settings = "ALTER DATABASE d SET a TO 'b';\nALTER ROLE rds_superuser IN DATABASE d SET a TO 'b';\n"
    found = pruned([entry("DATABASE", "CREATE DATABASE d;\n", owner="rds_superuser")], ABSENT)

    assert definition_without("DATABASE PROPERTIES", settings) == "ALTER DATABASE d SET a TO 'b';\n"
    assert found.entries[0].owner == ""
    assert [name for name, _ in found.left_out] == ["database t"]


def test_nothing_changes_where_nobody_is_absent() -> None:
    one = entry("ACL", "GRANT SELECT ON TABLE s.t TO rds_superuser;\n")

    assert pruned([one], frozenset()).entries == (one,)

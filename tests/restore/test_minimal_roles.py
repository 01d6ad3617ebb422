"""The roles of docs/minimal-role.md: its very statements suffice, and each that is missing is named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from holdfast.errors import PrivilegeMissing
from holdfast_local.postgres import EmbeddedPostgres
from restore.archiving import Archiver
from restore.conftest import SHOP, Databases
from restore.running import Machine
from snapshot.rig import Rig

PAGE = (Path(__file__).parents[2] / "docs" / "minimal-role.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```sql ([\w-]+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL))
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
_NUMBERS = count(1)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("source")) as server:
        yield Databases(server)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("target")) as server:
        yield Databases(server)


@pytest.fixture
def closed(source: Databases) -> str:
    """Return the name of a shop that nobody may connect to without being let in."""
    name = source.create(SHOP)
    source.run(name, f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC')
    return name


@pytest.fixture
def restorer(target: Databases, archiver: Archiver, wired: Callable[..., Machine]) -> Callable[[Rig, str], Machine]:
    """Return a function that makes a machine which restores a rig's points as a role of the target."""

    def make(backing: Rig, role: str) -> Machine:
        archiver.archive, archiver.points = backing.archive, backing.points
        archiver.signer, archiver.digest_keys = backing.signer, backing.digest_keys
        machine = wired("postgres")
        machine.secrets.secrets["holdfast/target/other"] = target.server.url("postgres", role, "choose one")
        return machine

    return make


def statements(*blocks: str) -> list[str]:
    lines = [line for block in blocks for line in BLOCKS[block].splitlines()]
    assert lines
    return lines


def granted(databases: Databases, name: str, lines: list[str], *, role: str = "holdfast_backup") -> str:
    """Run *lines* of the page for the database *name* with a fresh role, and return the role's name."""
    fresh = f"{role}_{next(_NUMBERS)}"
    schemas = [row[0] for row in databases.run(name, SCHEMAS)]
    for line in lines:
        for schema in schemas if "SCHEMA app" in line else [""]:
            named = line.replace("SCHEMA app", f'SCHEMA "{schema}"').replace("DATABASE shop", f'DATABASE "{name}"')
            databases.run(name, named.replace(role, fresh))
    return fresh


def rig(databases: Databases, name: str, role: str) -> Rig:
    return Rig(replace(databases.parameters(name), user=role, password="choose one"))


@pytest.mark.parametrize(
    "blocks",
    [("backup", "backup-row-security"), ("backup-13", "backup-13-large-objects", "backup-row-security")],
    ids=["14 and later", "13"],
)
def test_the_statements_of_the_page_back_up_and_restore_a_database_the_same(
    source: Databases, target: Databases, closed: str, restorer: Callable[[Rig, str], Machine], blocks: tuple[str, ...]
) -> None:
    backing = rig(source, closed, granted(source, closed, statements(*blocks)))
    into = target.name()
    restoring = granted(target, "postgres", statements("restore"), role="holdfast_restore")
    target.run("postgres", f"ALTER ROLE {restoring} BYPASSRLS")
    if target.run("postgres", "SELECT 1 FROM pg_roles WHERE rolname = 'shop_owner'"):
        target.run("postgres", f'GRANT shop_owner, "shop reader" TO {restoring} WITH ADMIN OPTION')

    point = backing.backup()
    assert backing.verify(point.id).intact
    ended = restorer(backing, restoring).run(into, target_secret="other")

    assert ended.proof.differences == ()


@pytest.mark.parametrize(
    ("without", "remedy"),
    [
        pytest.param(r"GRANT CONNECT", r"GRANT CONNECT ON DATABASE", id="connect"),
        pytest.param(r"GRANT USAGE", r'GRANT USAGE ON SCHEMA "app"', id="usage"),
        pytest.param(r"GRANT SELECT ON ALL TABLES", r'GRANT SELECT ON TABLE "app"', id="tables"),
        pytest.param(r"GRANT SELECT ON ALL SEQUENCES", r'GRANT SELECT ON SEQUENCE "app"', id="sequences"),
        pytest.param(r"GRANT SELECT ON pg_catalog", r"GRANT SELECT ON LARGE OBJECT 4711", id="large objects"),
        pytest.param(r"ALTER ROLE", r"ALTER ROLE .* BYPASSRLS", id="row security"),
    ],
)
def test_each_statement_that_is_missing_is_named_at_the_start(
    source: Databases, closed: str, without: str, remedy: str
) -> None:
    lines = statements("backup-13", "backup-13-large-objects", "backup-row-security")
    left = [line for line in lines if not line.startswith(without)]
    assert len(left) == len(lines) - 1
    backing = rig(source, closed, granted(source, closed, left))

    with pytest.raises(PrivilegeMissing) as refused:
        backing.start()

    assert re.search(remedy, refused.value.hint)
    assert not backing.points.points

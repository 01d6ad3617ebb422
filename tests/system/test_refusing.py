"""Databases that cannot be backed up as they are: the command says why in one sentence, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from system.world import Done, World

pytestmark = pytest.mark.xdist_group("system-1")

CASES = {
    "wrong-password": (5, "refused the user or the password", "Correct the user or password"),
    "unreachable": (1, "127.0.0.1:1 did not answer", "Check host, port"),
    "misspelt": (1, "The server db.example.invalid:", "Check host, port"),
    "no-tls": (5, "No TLS connection", "Correct sslmode or sslrootcert"),
    "stranger": (5, "No TLS connection that passes the checks", "Correct sslmode or sslrootcert"),
    "neon": (
        5,
        "ep-cool-1234-pooler.eu-central-1.aws.neon.tech is the address of a connection pooler",
        "Give the direct host instead: ep-cool-1234.eu-central-1.aws.neon.tech.",
    ),
    "rds-proxy": (5, "proxy-abc123.eu-central-1.rds.amazonaws.com is the address of a", "direct (unpooled) host"),
    "orm": (5, "says pgbouncer=true: a pooler answers there", "direct (unpooled) host"),
    "pooled": (5, "A connection pooler answers at 127.0.0.1:", "direct (unpooled) host"),
    "newer": (5, "The server is PostgreSQL 19, but Holdfast's pg_dump is 18", "Update Holdfast"),
    "blind": (5, '"public"."orders"', 'GRANT SELECT ON TABLE "public"."orders" TO "blind"'),
}


@pytest.fixture(scope="module")
def refused(world: World) -> Iterator[Mapping[str, Future[Done]]]:
    """Start all backups, some at once: most of the time passes in waiting."""
    with ThreadPoolExecutor(4) as pool:
        yield {name: pool.submit(world.holdfast, "--local", "backup", name, "--wait") for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_a_backup_that_is_refused_says_why_and_what_to_do(refused: Mapping[str, Future[Done]], name: str) -> None:
    code, sentence, remedy = CASES[name]

    done = refused[name].result()

    assert done.code == code, done.said
    assert sentence in done.said
    assert remedy in done.said


@pytest.mark.parametrize("name", CASES)
def test_a_backup_that_is_refused_leaves_neither_point_nor_lock(
    world: World, refused: Mapping[str, Future[Done]], name: str
) -> None:
    refused[name].result()

    assert world.points(name) == []
    assert world.system.points.lock_holder(name) is None

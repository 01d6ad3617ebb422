"""Every call of AWS that loading makes fails once, and every row is in the target once in the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from faults.injecting import KINDS, Injector, Kind, swept
from holdfast.adapters.aws import Clients, S3Archive, S3Scratch, SecretsManager
from holdfast.usecases.restore.load import load
from restore.archiving import Archiver
from restore.running import machine
from snapshot.servers import USERS, Databases


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_each_call_of_a_load_that_fails_is_told_and_no_row_comes_twice(
    databases: Databases, clients: Clients, kind: Kind
) -> None:
    source = databases.create(USERS)
    archive: Any = S3Archive(clients.s3, "archive", sleep=lambda _: None)
    archiver = Archiver(archive=archive)
    archiver.take(source)
    clients.secrets_manager.create_secret(Name="holdfast/shop", SecretString=databases.server.url(source.dbname))
    made, scratch = machine(archiver, {}), S3Scratch(clients.s3, "scratch")
    world = replace(made.world, scratch=scratch, secrets=SecretsManager(clients.secrets_manager))
    restore = replace(made, world=world, scratch=scratch)  # type: ignore[arg-type]
    into = f"{source.dbname}_{kind.name.replace(' ', '_')}"
    assessed = restore.assess(into)
    restore.prepare(assessed)
    injector = Injector(kind)
    injector.install(clients)

    failed = [
        call for one in restore.items(assessed.load) for call in swept(injector, lambda one=one: load(one, world))[1]
    ]

    with databases.connect(databases.parameters(into)) as session:
        counted = session.execute("SELECT count(*), count(DISTINCT id) FROM users").fetchone()
    assert counted == (1000, 1000)
    wanted = {"GetObject"} if kind.torn else {"GetObject", "GetSecretValue", "PutObject"}
    assert wanted <= set(failed)

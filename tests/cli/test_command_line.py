"""What holds for every command: options, errors, exit codes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

import holdfast
from cli.conftest import Answer, Command
from holdfast.errors import BadConfiguration
from holdfast_cli import entry, main, system
from holdfast_cli.exits import Exit


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["backup"], "Missing argument 'database'", id="an argument is missing"),
        pytest.param(["restore", "shop"], "Missing option '--into'", id="an option is missing"),
        pytest.param(["nosuch"], "No such command 'nosuch'", id="no such command"),
        pytest.param(["status", "--nosuch"], "No such option: --nosuch", id="no such option"),
        pytest.param(["backup", "shop", "--tier", "daly"], "'daly' is not one of", id="no such value"),
    ],
)
def test_a_mistyped_command_line_is_a_usage_error(command: Command, arguments: list[str], sentence: str) -> None:
    answer = command(*arguments)

    assert answer.code == 2
    assert sentence in answer.err


def test_usage_errors_are_json_too(command: Command) -> None:
    answer = command("nosuch", "--json")

    assert answer.code == 2
    assert set(answer.json) == {"error", "message", "hint", "ids"}


def test_the_version_is_told(command: Command) -> None:
    assert command("--version") == Answer(0, f"holdfast {holdfast.__version__}\n", "")


@pytest.mark.parametrize(
    "place", [["--json", "points", "shop"], ["points", "--json", "shop"], ["points", "shop", "--json"]]
)
def test_global_flags_may_stand_anywhere(command: Command, place: list[str]) -> None:
    assert command(*place).json == {"database": "shop", "points": []}


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        pytest.param(NoCredentialsError(), 7, "There are no AWS credentials.", id="not signed in"),
        pytest.param(EndpointConnectionError(endpoint_url="https://x"), 6, "does not answer", id="no network"),
        pytest.param(
            ClientError({"Error": {"Code": "AccessDeniedException"}}, "StartExecution"),
            7,
            "You may not call StartExecution here.",
            id="not allowed",
        ),
        pytest.param(
            ClientError({"Error": {"Code": "ExpiredTokenException"}}, "StartExecution"), 7, "expired", id="expired"
        ),
        pytest.param(
            ClientError({"Error": {"Code": "StateMachineDoesNotExist"}}, "StartExecution"),
            6,
            "is this system deployed",
            id="not deployed",
        ),
        pytest.param(RuntimeError("boom"), 70, "This is a defect", id="a defect"),
    ],
)
def test_refusals_are_told_as_what_they_mean_to_the_caller(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, sentence: str
) -> None:
    def refuse(**_: object) -> None:
        raise error

    monkeypatch.setattr(command.states, "start_execution", refuse)

    answer = command("backup", "shop")

    assert answer.code == code
    assert sentence in answer.err


def test_a_refusal_behind_an_adapters_error_is_found(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BadConfiguration("Reading the catalogue was refused.") from ClientError(
            {"Error": {"Code": "AccessDeniedException"}}, "Query"
        )

    monkeypatch.setattr(command.points, "newest_first", refuse)

    assert command("points", "shop").code == 7


def test_interrupting_leaves_the_run_alone_and_says_how_to_look(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command.states, "get_execution_history", interrupt)

    answer = command("backup", "shop", "--wait")

    assert answer.code == 130
    assert "Stopped watching" in answer.err
    assert f"holdfast watch {command.states.started[0]['name']}" in answer.err


def test_an_interruption_is_never_silent(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command.points, "newest_first", interrupt)

    answer = command("points", "shop")

    assert answer.code == 130
    assert "runs that were started go on" in answer.err


def test_every_fault_of_the_configuration_is_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text('[holdfast]\nregion = "nowhere"\n\n[databases.shop]\nprovider = "oracle"\n')

    code = main.run(["--config", str(file), "points", "shop"])

    said = capsys.readouterr().err
    assert code == 3
    assert "holdfast.toml:2: holdfast.region" in said
    assert "holdfast.toml:5: databases.shop.provider" in said


def test_a_missing_configuration_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main.run(["status"])

    assert code == 3
    assert "There is no holdfast.toml in this directory." in capsys.readouterr().err


def test_no_local_system_is_told_with_how_to_start_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main.run(["--local", "status"])

    assert code == 6
    assert "holdfast local up" in capsys.readouterr().err


def test_a_system_that_is_not_deployed_is_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    class CloudFormation:
        exceptions = SimpleNamespace(ClientError=ClientError)

        def describe_stacks(self, **_: object) -> None:
            raise ClientError({"Error": {"Code": "ValidationError"}}, "DescribeStacks")

    found = system.System(command.system.configuration, command.system.place)
    monkeypatch.setattr(found, "client", lambda service: CloudFormation())
    monkeypatch.setattr(system, "in_aws", lambda path: found)

    answer = command("points", "shop")

    assert answer.code == 6
    assert "Nothing is deployed as holdfast in eu-central-1" in answer.err


def test_an_interrupt_while_the_command_is_loaded_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "holdfast_cli.main", Interrupted("main"))

    with pytest.raises(SystemExit) as ended:
        entry.main()

    assert ended.value.code == Exit.DETACHED
    assert capsys.readouterr().err == "\nInterrupted before anything was started.\n"

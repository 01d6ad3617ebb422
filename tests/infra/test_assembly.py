"""The assembly as a whole: clean by the tools' judgement, and the same for AWS and for this machine."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint

from holdfast.configuration import Configuration, load
from holdfast.errors import BadRequest
from holdfast_infra.configuration_layer import write_configuration_layer
from holdfast_infra.platforms import Platform

from .conftest import CONFIGURATION, Assembly

pytestmark = pytest.mark.xdist_group("infra")

STACKS = ("storage", "workflows", "monitoring")
# CDK makes a function depend on its role although the reference to it says so already.
TOLERATED = {"W3005"}


def test_cdk_nag_finds_nothing(assembly: Assembly) -> None:
    findings = [row for row in assembly.nag_findings() if row["Compliance"] not in {"Compliant", "Suppressed"}]

    assert findings == []


def test_every_exception_from_cdk_nag_has_a_reason(assembly: Assembly) -> None:
    suppressed = [row for row in assembly.nag_findings() if row["Compliance"] == "Suppressed"]

    assert {row["Rule ID"] for row in suppressed} == {
        "AwsSolutions-IAM5",
        "AwsSolutions-L1",
        "AwsSolutions-S1",
        "AwsSolutions-SQS3",
    }
    assert all(len(row["Exception Reason"]) > 40 for row in suppressed)


@pytest.mark.parametrize("stack", STACKS)
def test_cfn_lint_finds_nothing(assembly: Assembly, stack: str) -> None:
    findings = lint(json.dumps(assembly.template(stack)))

    assert [str(each) for each in findings if each.rule.id not in TOLERATED] == []


@pytest.mark.parametrize("stack", STACKS)
def test_no_custom_resource_and_no_look_up_is_needed(assembly: Assembly, stack: str) -> None:
    kinds = {one["Type"] for one in assembly.template(stack)["Resources"].values()}

    assert not [kind for kind in kinds if kind.startswith("Custom::") or "CustomResource" in kind]
    assert "missing" not in assembly.manifest()


def test_synthesis_leaves_no_message_behind(assembly: Assembly) -> None:
    notes = [
        entry
        for file in assembly.directory.glob("*.metadata.json")
        for entries in json.loads(file.read_text()).values()
        for entry in entries
        if entry["type"] in {"aws:cdk:warning", "aws:cdk:error"}
    ]

    assert notes == []


@pytest.mark.parametrize("stack", STACKS)
def test_only_architecture_runtime_and_layers_differ_on_this_machine(
    assembly: Assembly, host_assembly: Assembly, stack: str
) -> None:
    there, here = (neutral(one.template(stack)) for one in (assembly, host_assembly))

    assert there == here


def neutral(template: dict[str, Any]) -> dict[str, Any]:
    """Return *template* without what may differ, having checked that it is there."""
    template = json.loads(json.dumps(template))
    for one in template["Resources"].values():
        properties = one.get("Properties", {})
        if one["Type"] == "AWS::Lambda::Function":
            assert properties.pop("Architectures")
            assert properties.pop("Runtime")
        if one["Type"] == "AWS::Lambda::LayerVersion":
            assert properties.pop("CompatibleArchitectures")
            assert properties.pop("CompatibleRuntimes")
            assert properties["Content"].pop("S3Key")
    # A layer's logical id contains the hash of its content and platform.
    layers = [name for name, one in template["Resources"].items() if one["Type"] == "AWS::Lambda::LayerVersion"]
    text = json.dumps(template, sort_keys=True)
    for name in layers:
        text = text.replace(name, name[:-8])
    result: dict[str, Any] = json.loads(text)
    return result


def test_this_machine_s_platform_is_its_own() -> None:
    here = Platform.named("host")

    assert here.python == f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert here.architecture == {"aarch64": "arm64", "x86_64": "x86_64"}[platform.machine()]


def test_an_unknown_platform_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadRequest, match=r"'windows'.*al2023-arm64"):
        Platform.named("windows")


def configuration(tmp_path: Path, text: str = CONFIGURATION) -> Configuration:
    """Return the configuration that *text* describes."""
    file = tmp_path / "holdfast.toml"
    file.write_text(text)
    return load(file)


def test_the_configuration_layer_is_the_normalised_document_and_the_same_every_time(tmp_path: Path) -> None:
    given = configuration(tmp_path)

    first = write_configuration_layer(given, tmp_path / "first")
    second = write_configuration_layer(given, tmp_path / "second")

    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert [str(file) for file in files] == [
        "python/holdfast_configuration/__init__.py",
        "python/holdfast_configuration/holdfast.json",
    ]
    assert all((first / file).read_bytes() == (second / file).read_bytes() for file in files)
    assert Configuration.parse((first / files[1]).read_text()) == given

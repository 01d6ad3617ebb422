"""
The CDK app: `python -m holdfast_infra.app`, or `synthesise` from Python.

Synthesis calls nobody: no look-ups, no Docker, no account. Context of the `cdk` command: `configuration` is the
path of holdfast.toml, `target` the platform of functions and layers (`al2023-arm64`, `al2023-x86_64`, `host`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from holdfast.configuration import Configuration, load
from holdfast_infra import layers as built_layers
from holdfast_infra.configuration_layer import write_configuration_layer
from holdfast_infra.monitoring import MonitoringStack
from holdfast_infra.names import Names
from holdfast_infra.platforms import Platform
from holdfast_infra.replacing import replacing
from holdfast_infra.second_region import ReplicaStack, SecondStorageStack
from holdfast_infra.storage import StorageStack
from holdfast_infra.workflows import WorkflowsStack

CONFIGURATION = "holdfast.toml"
# Switches of CDK that change what is generated stand here, so that the command and `synthesise` agree.
FLAGS: dict[str, object] = {
    # An export that is in use cannot be removed: better than functions whose bucket is gone.
    "@aws-cdk/core:defaultCrossStackReferences": "strong",
    "@aws-cdk/core:target-partitions": ["aws", "aws-cn", "aws-us-gov"],
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/aws-lambda:recognizeLayerVersion": True,
    "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True,
    "aws:cdk:enable-path-metadata": False,
}


class Running(TypedDict):
    """What the workflows of either region are made of."""

    configuration: Configuration
    platform: Platform
    layers: Mapping[str, Path]
    limits: Mapping[str, int]


Builder = Callable[[str], Mapping[str, Path]]


@dataclass(frozen=True)
class Second:
    """The stacks of the second region."""

    replica: ReplicaStack
    storage: SecondStorageStack
    workflows: WorkflowsStack


@dataclass(frozen=True)
class Stacks:
    """The three stacks, by how long they live, and those of the second region where there is one."""

    storage: StorageStack
    workflows: WorkflowsStack
    monitoring: MonitoringStack
    second: Second | None = None


def add_stacks(
    app: cdk.App,
    configuration: Configuration,
    *,
    platform: Platform,
    layers: Mapping[str, Path],
    limits: Mapping[str, int] | None = None,
) -> Stacks:
    """
    Add the stacks of *configuration* to *app*; *layers* are directories, the configuration's own among them.

    *limits* are seconds for functions (`snapshot.hold`) that are to have less time than AWS gives them.
    """
    names = Names.of(configuration)
    system = configuration.holdfast
    place = cdk.Environment(account=system.account, region=configuration.region)
    running: Running = {
        "configuration": configuration,
        "platform": platform,
        "layers": layers,
        "limits": limits or {},
    }
    storage = StorageStack(app, names.stack("storage"), configuration=configuration, env=place)
    workflows = WorkflowsStack(app, names.stack("workflows"), storage=storage.storage, env=place, **running)
    second = _second_region(app, storage, running) if system.second_region else None
    monitoring = MonitoringStack(app, names.stack("monitoring"), configuration=configuration, env=place)
    # CloudFormation learnt to tag dashboards only lately; not every engine that takes the template has.
    cdk.Tags.of(app).add("holdfast", system.name, exclude_resource_types=["AWS::CloudWatch::Dashboard"])
    return Stacks(storage, workflows, monitoring, second)


def _second_region(app: cdk.App, first: StorageStack, running: Running) -> Second:
    """
    Add the stacks of the second region: the replica before the first region's storage, the others after it.

    Storage and workflows are called there as in the first region; only here their ids differ.
    """
    configuration = running["configuration"]
    names, system = Names.of(configuration, second=True), configuration.holdfast
    region = str(system.second_region)
    place = cdk.Environment(account=system.account, region=region)
    replica = ReplicaStack(app, names.stack("replica"), configuration=configuration, region=region, env=place)
    first.add_stack_dependency(replica)
    storage = SecondStorageStack(
        app,
        names.stack("second-storage"),
        stack_name=names.stack("storage"),
        configuration=configuration,
        region=region,
        place=replica,
        env=place,
    )
    storage.add_stack_dependency(first)
    workflows = WorkflowsStack(
        app,
        names.stack("second-workflows"),
        stack_name=names.stack("workflows"),
        storage=storage.storage,
        second=True,
        env=place,
        **running,
    )
    return Second(replica, storage, workflows)


def synthesise(
    configuration: Configuration,
    *,
    target: str,
    output: Path,
    build: Builder = built_layers.build,
    nag: bool = False,
    limits: Mapping[str, int] | None = None,
) -> Path:
    """
    Write the cloud assembly of *configuration* for *target* to *output* and return it.

    CDK's own validation of templates is left to the `cdk` command, since it takes several seconds; *nag* adds the
    reports of cdk-nag to the assembly, *limits* shortens functions' time. What was there is replaced as a whole, and
    only by what is complete.
    """
    with replacing(output) as fresh:
        app = cdk.App(
            outdir=str(fresh),
            analytics_reporting=False,
            builtin_cloud_formation_validation=False,
            tree_metadata=False,
            context=FLAGS,
        )
        _fill(app, configuration, target=target, build=build, nag=nag, limits=limits)
        app.synth()
    return output


def _fill(
    app: cdk.App,
    configuration: Configuration,
    *,
    target: str,
    build: Builder,
    nag: bool,
    limits: Mapping[str, int] | None = None,
) -> None:
    platform = Platform.named(target)
    with tempfile.TemporaryDirectory() as scratch:
        own = write_configuration_layer(configuration, Path(scratch))
        layers = {**build(target), "configuration": own}
        add_stacks(app, configuration, platform=platform, layers=layers, limits=limits)
    if nag:
        cdk.Aspects.of(app).add(AwsSolutionsChecks(verbose=True))


def main() -> None:
    """Synthesise for the `cdk` command, which gives context and the place to write to."""
    _forget_copies(os.environ.get("CDK_OUTDIR"))
    app = cdk.App(analytics_reporting=False, context=FLAGS)
    configuration = load(str(app.node.try_get_context("configuration") or CONFIGURATION))
    target = str(app.node.try_get_context("target") or f"al2023-{configuration.functions.architecture}")
    _fill(app, configuration, target=target, build=built_layers.build, nag=True)
    app.synth()


def _forget_copies(output: str | None) -> None:
    """Remove what earlier runs copied to *output*; the directory itself is the `cdk` command's, with its lock in it."""
    for copied in Path(output).glob("asset.*") if output else ():
        shutil.rmtree(copied) if copied.is_dir() else copied.unlink()


if __name__ == "__main__":
    main()

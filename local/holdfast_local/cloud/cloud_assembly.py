"""Read what `cdk synth` wrote: the stacks in the order of their dependencies, and their assets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast_local.cloud.errors import DeploymentFailed


@dataclass(frozen=True)
class Asset:
    """A file or directory that a stack needs in the assets' bucket before it is deployed."""

    source: Path
    packaging: str
    bucket: str
    key: str


@dataclass(frozen=True)
class Stack:
    """One stack of the assembly; `region` is None when the app left it open."""

    name: str
    region: str | None
    template_file: Path
    assets: tuple[Asset, ...]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    protected: bool

    def template(self) -> dict[str, Any]:
        """Return the template."""
        template: dict[str, Any] = json.loads(self.template_file.read_text(encoding="utf-8"))
        return template


def read_stacks(directory: Path) -> list[Stack]:
    """
    List the stacks of the assembly in *directory*, each after those that it depends on.

    Stages (assemblies within the assembly) come in the order of the manifest.
    """
    manifest = directory / "manifest.json"
    if not manifest.exists():
        raise DeploymentFailed(f"{directory} holds no cloud assembly.", hint="Synthesize the app first: `make synth`.")
    artifacts = json.loads(manifest.read_text(encoding="utf-8")).get("artifacts", {})
    stacks: list[Stack] = []
    for name in _in_order(artifacts):
        artifact = artifacts[name]
        if artifact["type"] == "aws:cloudformation:stack":
            stacks.append(_stack(directory, name, artifact, artifacts))
        elif artifact["type"] == "cdk:cloud-assembly":
            stacks += read_stacks(directory / artifact["properties"]["directoryName"])
    return stacks


def _in_order(artifacts: Mapping[str, Any]) -> list[str]:
    done: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise DeploymentFailed(f"The stacks depend on each other in a circle: {' → '.join((*path, name))}.")
        if name in done or name not in artifacts:
            return
        for needed in artifacts[name].get("dependencies", []):
            visit(needed, (*path, name))
        done.append(name)

    for name in artifacts:
        visit(name, ())
    return done


def _stack(directory: Path, name: str, artifact: Mapping[str, Any], artifacts: Mapping[str, Any]) -> Stack:
    properties = artifact["properties"]
    region = artifact.get("environment", "").rpartition("/")[2]
    manifests = [
        directory / artifacts[needed]["properties"]["file"]
        for needed in artifact.get("dependencies", [])
        if artifacts.get(needed, {}).get("type") == "cdk:asset-manifest"
    ]
    return Stack(
        name=properties.get("stackName", name),
        region=None if region in ("", "unknown-region") else region,
        template_file=directory / properties["templateFile"],
        assets=tuple(asset for manifest in manifests for asset in _assets(manifest)),
        parameters=properties.get("parameters", {}),
        tags=properties.get("tags", {}),
        protected=bool(properties.get("terminationProtection")),
    )


def _assets(manifest: Path) -> list[Asset]:
    files = json.loads(manifest.read_text(encoding="utf-8")).get("files", {})
    return [
        Asset(
            source=manifest.parent / file["source"]["path"],
            packaging=file["source"].get("packaging", "file"),
            bucket=destination["bucketName"],
            key=destination["objectKey"],
        )
        for file in files.values()
        for destination in file["destinations"].values()
    ]

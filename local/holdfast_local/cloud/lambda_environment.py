"""The environment variables that Lambda's managed Python runtime gives a function."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from holdfast_local.cloud.function_spec import FunctionSpec


@dataclass(frozen=True)
class Place:
    """Where one execution environment finds and leaves things."""

    task: Path
    layers: tuple[Path, ...]
    runtime: Path
    tmp: Path
    log_stream: str
    runtime_api: str

    def folders(self, name: str) -> list[str]:
        """
        List the layers' folders called *name*, the last layer's first.

        On Lambda all layers are unpacked into `/opt`, so that a later one's file takes the place of an earlier one's.
        """
        return [str(layer / name) for layer in reversed(self.layers) if (layer / name).is_dir()]


def lambda_environment(spec: FunctionSpec, place: Place) -> dict[str, str]:
    """
    Return what Lambda defines for *spec*, with the paths of *place*.

    `HOME` and `TMPDIR` are this machine's own: without them a program would look into the developer's home.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    """
    return {
        **_paths(spec, place),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "HOME": str(place.tmp),
        "TMPDIR": str(place.tmp),
        "_HANDLER": spec.handler,
        "AWS_REGION": spec.region,
        "AWS_DEFAULT_REGION": spec.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": place.log_stream,
        "AWS_LAMBDA_LOG_FORMAT": spec.log_format,
        **({"AWS_LAMBDA_LOG_LEVEL": spec.log_level} if spec.log_level else {}),
        "AWS_LAMBDA_RUNTIME_API": place.runtime_api,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
    }


def _paths(spec: FunctionSpec, place: Place) -> dict[str, str]:
    version = re.sub("^python", "", spec.runtime)
    modules = [*place.folders(f"python/lib/python{version}/site-packages"), *place.folders("python")]
    return {
        "PATH": os.pathsep.join([*place.folders("bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
        "LD_LIBRARY_PATH": os.pathsep.join([*place.folders("lib"), str(place.task), str(place.task / "lib")]),
        "PYTHONPATH": os.pathsep.join([str(place.task), *modules, str(place.runtime)]),
        "LAMBDA_TASK_ROOT": str(place.task),
        "LAMBDA_RUNTIME_DIR": str(place.runtime),
    }

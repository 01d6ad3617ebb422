"""Lambda layers for any architecture, built without Docker from locked wheels; the same files every time."""

from holdfast_infra.layers.building import LAYERS, build, layer_hash
from holdfast_infra.layers.targets import TARGETS

__all__ = ["LAYERS", "TARGETS", "build", "layer_hash"]

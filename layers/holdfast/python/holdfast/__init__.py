"""
The code that Holdfast's functions, command and infrastructure share.

Direction of dependence, held by import-linter: functions → wiring → adapters → ports → model,
and wiring → use cases → ports, model. The model is pure: standard library only, time and
identity come in as arguments.
"""

__version__ = "0.1.0"

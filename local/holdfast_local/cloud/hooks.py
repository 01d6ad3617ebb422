"""
Replace private functions of pinned packages, and refuse to do so on any other version.

ministack and moto offer no extension points for what Holdfast needs, so their functions are replaced
in place. That is safe only for versions that somebody has read: importing this module checks them, and
each replacement states the parameters it expects of the original.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from holdfast_local.cloud.errors import HookBroken

PINNED = {"ministack": "1.5.33", "moto": "5.2.5", "awslambdaric": "4.2.2", "jsonata-python": "0.7.1"}


def require_pinned(pinned: dict[str, str] = PINNED) -> None:
    """Raise `HookBroken` naming every package whose installed version is not the pinned one."""
    wrong = [f"{name} is {found}, not {wanted}" for name, wanted in pinned.items() if (found := _found(name)) != wanted]
    if wrong:
        raise HookBroken(f"The local cloud was written for other versions: {'; '.join(wrong)}.")


def _found(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def module(name: str) -> Any:
    """
    Import a module of a pinned package at the time of use.

    ministack reads its settings from the environment while it is imported, so it must not be imported
    before the server has set them.
    """
    return importlib.import_module(name)


def replace(owner: Any, name: str, replacement: Callable[..., Any], *, expects: Sequence[str]) -> Any:
    """
    Put *replacement* in the place of `owner.name` and return the original.

    *expects* are the parameter names of the original: a private function that has changed its
    parameters has probably changed its meaning too.
    """
    original = getattr(owner, name, None)
    where = f"{getattr(owner, '__module__', '') or ''} {getattr(owner, '__name__', owner)}.{name}".strip()
    if original is None:
        raise HookBroken(f"{where} does not exist.")
    check(original, expects, where=where)
    setattr(owner, name, replacement)
    return original


def assign(owner: Any, name: str, value: Any) -> None:
    """Set the variable `owner.name`, which must exist."""
    if not hasattr(owner, name):
        raise HookBroken(f"{getattr(owner, '__name__', owner)}.{name} does not exist.")
    setattr(owner, name, value)


def check(function: Callable[..., Any], expects: Sequence[str], *, where: str) -> None:
    """Raise `HookBroken` unless *function* takes the parameters that are expected of it."""
    found = list(inspect.signature(function).parameters)
    if found != list(expects):
        raise HookBroken(f"{where} takes ({', '.join(found)}), not ({', '.join(expects)}).")


def replace_imported(package: str, name: str, replacement: Callable[..., Any]) -> int:
    """
    Put *replacement* wherever a loaded module of *package* has imported `name`; return how many.

    `from x import f` copies the reference, so replacing `x.f` alone would not reach those modules.
    """
    holders = [
        loaded
        for loaded_name, loaded in list(sys.modules.items())
        if loaded_name.startswith(package) and name in vars(loaded)
    ]
    if not holders:
        raise HookBroken(f"No module of {package} has {name}.")
    for holder in holders:
        setattr(holder, name, replacement)
    return len(holders)


require_pinned()

"""Parameter groups, as far as somebody set something in them."""

from __future__ import annotations

from collections.abc import Callable

from holdfast_local.rds.account import Document

_SET = {"tuned": {"work_mem": "65536", "log_min_duration_statement": "500"}}


def parameters_of(name: str) -> Callable[[str, Document], Document]:
    """Return the action that describes the parameters of the group which the argument *name* names."""

    def describe(_: str, asked: Document) -> Document:
        found = _SET.get(asked[name], {})
        return {
            "Parameters": [
                {"ParameterName": parameter, "ParameterValue": value, "Source": "user"}
                for parameter, value in found.items()
            ]
        }

    return describe

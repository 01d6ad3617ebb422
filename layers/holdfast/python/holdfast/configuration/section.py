"""What all tables of the file have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the file: frozen, and every key must be known."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)

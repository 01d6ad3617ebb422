"""The parts of Vercel's answers that Holdfast reads; values of variables are not among them."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holdfast.errors import UnexpectedState

Thing = TypeVar("Thing", bound=BaseModel)
_WRITE_ONLY = "sensitive"


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class EnvironmentVariable(_Answer):
    """A variable; *configuration_id* is the integration's that writes it, *git_branch* narrows where it is seen."""

    key: str
    type: str
    id: str = ""
    target: tuple[str, ...] | str = ()
    configuration_id: str | None = Field(default=None, alias="configurationId")
    git_branch: str | None = Field(default=None, alias="gitBranch")
    custom_environments: tuple[str, ...] = Field(default=(), alias="customEnvironmentIds")

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the environments that it is for, sorted."""
        return tuple(sorted({self.target} if isinstance(self.target, str) else set(self.target)))

    @property
    def readable(self) -> bool:
        """Return whether Vercel would tell its value to somebody."""
        return self.type != _WRITE_ONLY


class Complaint(_Answer):
    """Why something was not done."""

    code: str = ""
    key: str | None = None


class Failed(_Answer):
    """A variable that was not taken."""

    error: Complaint


class Listed(_Answer):
    """A deployment in a list."""

    uid: str
    name: str
    meta: dict[str, str] = {}


class Deployed(_Answer):
    """A deployment."""

    id: str
    state: str = Field(alias="readyState")
    substate: str | None = Field(default=None, alias="readySubstate")
    error_code: str | None = Field(default=None, alias="errorCode")
    alias_error: Complaint | None = Field(default=None, alias="aliasError")


def read(kind: type[Thing], document: object) -> Thing:
    """Return a thing that Vercel described; raises `UnexpectedState`, without its values, for what it is not."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, each["loc"])) or "all of it" for each in error.errors()[:3])
        raise UnexpectedState(f"Vercel described a {kind.__name__.lower()} in an unknown way: {wrong}.") from None

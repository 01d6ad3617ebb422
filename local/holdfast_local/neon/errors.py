"""The refusals of Neon's API."""

from __future__ import annotations


class Refused(Exception):
    """An answer with an error's *status*, *code* (may be empty, as Neon's may) and *message*."""

    def __init__(self, status: int, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code

    def document(self, request_id: str) -> dict[str, str]:
        """Return the body that Neon answers with."""
        return {"request_id": request_id, "code": self.code, "message": self.message}


def missing(what: str) -> Refused:
    """Return the refusal of a thing that is not there."""
    return Refused(404, f"{what} not found")

"""What travels: requests, answers and Azure's way of saying no."""

import json
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One request as it arrived; headers have lower-case names, and the token is left out of what is kept."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    token: str = field(default="", repr=False, compare=False)

    @property
    def json(self) -> Any:
        """The body as JSON; an empty one is an empty object."""
        return json.loads(self.body) if self.body.strip() else {}

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.path}"


@dataclass(frozen=True)
class Answer:
    """What is sent back: JSON for anything that is not bytes."""

    content: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, dict[str, str]]:
        """The bytes and headers to send."""
        if isinstance(self.content, bytes):
            return self.content, self.headers
        return json.dumps(self.content).encode(), {"Content-Type": "application/json; charset=utf-8", **self.headers}


class AzureError(Exception):
    """An error as Azure Resource Manager words it."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}

    @property
    def answer(self) -> Answer:
        """The error's body and status."""
        return Answer({"error": {"code": self.code, "message": self.message}}, self.status, self.headers)


def not_found(what: str) -> AzureError:
    """Nothing is there."""
    return AzureError(404, "ResourceNotFound", f"{what} was not found.")

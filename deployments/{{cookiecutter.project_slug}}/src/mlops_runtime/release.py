"""What all deployments have in common: their settings in config, and what makes one differ from another."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from mlops_runtime.config import Config, Section

FOLDER = Path("mlops", "azureml", "deploy")
ENDPOINT, DEPLOYMENT = FOLDER / "endpoint.yml", FOLDER / "deployment.yml"
IMAGE = Path("mlops", "azureml", "environments", "serve.yml")
NAME = r"^[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]$"


class Collection(Section):
    """What is kept of requests and answers, for monitoring."""

    share: float = Field(ge=0, le=1)
    retention_days: int = Field(ge=1)
    mask: list[str]  # columns that are not kept


class Settings(Section):
    """What config says of any deployment. The nested values of `endpoint` and `settings` replace those of the YAML."""

    assets: Literal["registry", "workspace"]
    collection: Collection
    endpoint: dict[str, Any]
    settings: dict[str, Any]

    @field_validator("endpoint")
    @classmethod
    def named(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Refuse an endpoint without a name that Azure accepts."""
        import re

        if not re.match(NAME, str(value.get("name", ""))):
            raise ValueError("name must have 3 to 32 letters, digits and hyphens and begin with a letter")
        return value

    @property
    def name(self) -> str:
        """The endpoint's name."""
        return str(self.endpoint["name"])


def dotted(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested values, each with its dotted key."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def changes(settings: Config) -> dict[Path, dict[str, Any]]:
    """What config says in place of the YAML's values: file → dotted key → value."""
    own: Settings = settings.deployment  # type: ignore[assignment]
    return {ENDPOINT: dict(dotted(own.endpoint)), DEPLOYMENT: dict(dotted(own.settings))}

"""What all sections of config/*.yml have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Settings with known keys only: a typing error is found, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

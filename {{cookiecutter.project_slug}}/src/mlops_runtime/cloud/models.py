"""Registered models in workspaces and in the registry that they share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_runtime.cloud.errors import explained

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

DIGEST = "model_digest"
LENGTH = 12  # characters of the digest that are the version in the registry


@dataclass(frozen=True)
class Registered:
    """A version of a model somewhere, and what is known of it."""

    name: str
    version: str
    tags: dict[str, str]
    id: str  # a registry's address or a workspace's resource

    @property
    def reference(self) -> str:
        """As YAML names it."""
        return self.id if self.id.startswith("azureml:") else f"azureml:{self.name}:{self.version}"

    @property
    def registry_version(self) -> str:
        """Its version in the registry: the beginning of its digest, so that the same model has the same version."""
        return self.tags.get(DIGEST, "")[:LENGTH]


def versions(client: "MLClient", name: str) -> list[Registered]:
    """All versions of a model, the newest first; none when there is no such model."""
    from azure.core.exceptions import ResourceNotFoundError

    with explained(f"To list the versions of {name}"):
        try:
            found = list(client.models.list(name=name))
        except ResourceNotFoundError:
            return []
    found.sort(key=lambda model: str(model.creation_context.created_at) if model.creation_context else "", reverse=True)
    return [Registered(name, str(model.version), dict(model.tags or {}), str(model.id)) for model in found]


def choose(client: "MLClient", name: str, wanted: str | None, **tags: str | None) -> Registered | None:
    """The version `wanted`, or else the newest that is not retired and has these tags (None: with any value).

    None when there is none.
    """
    for model in versions(client, name):
        if wanted is not None:
            if model.version == wanted:
                return model
        elif "retired" not in model.tags and all(
            key in model.tags and value in (None, model.tags[key]) for key, value in tags.items()
        ):
            return model
    return None


def share(source: "MLClient", registry: "MLClient", name: str, model: Registered) -> Registered:
    """Copy a workspace's version into the registry, called `name` there, unless it is there already."""
    version = model.registry_version
    there = choose(registry, model.name, version)
    if there is None:
        with explained(f"To copy {model.name} {model.version} into the registry {name}"):
            source.models.share(
                model.name,
                model.version,
                share_with_name=model.name,
                share_with_version=version,
                registry_name=name,
            )
            copy = registry.models.get(model.name, version)
        there = Registered(model.name, version, dict(copy.tags or {}), str(copy.id))
        print(f"Copied {model.name} {model.version} into the registry {name} as {version}.")
    return there


def tag(client: "MLClient", model: Registered, tags: dict[str, str]) -> Registered:
    """Add tags to a version, in one call."""
    if tags.items() <= model.tags.items():
        return model
    with explained(f"To tag {model.name} {model.version}"):
        entity = client.models.get(model.name, model.version)
        entity.tags = {**(entity.tags or {}), **tags}
        client.models.create_or_update(entity)
    return Registered(model.name, model.version, {**model.tags, **tags}, model.id)

"""Everything that needs the Azure SDK (the optional extra `azure`): nothing outside this package imports it.

The SDK takes seconds to import, so functions import it when they are called.
"""

import logging
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_runtime.config import Config
from mlops_runtime.errors import Problem

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

# What a file is, by its $schema, and the SDK function that loads it.
LOADERS = {
    "pipelineJob": "load_job",
    "commandComponent": "load_component",
    "environment": "load_environment",
    "data": "load_data",
    "schedule": "load_schedule",
}


def available() -> bool:
    """Whether the Azure SDK is installed."""
    try:
        return bool(version("azure-ai-ml"))
    except PackageNotFoundError:
        return False


def quiet() -> None:
    """Keep the SDK's own chatter out of what people read."""
    warnings.simplefilter("ignore")
    import azure.ai.ml  # noqa: F401  # it sets the level of its logger when it is imported

    for name in ("azure", "azure.ai.ml", "msrest"):
        logging.getLogger(name).setLevel(logging.ERROR)


def workspace(settings: Config) -> "MLClient":
    """The client of the environment's workspace; nothing is sent before it is used."""
    place = settings.azure
    return _client(settings, place.subscription, place.resource_group, workspace_name=place.workspace)


def registry(settings: Config) -> "MLClient":
    """The client of the registry that all environments share."""
    place = settings.registry
    return _client(settings, place.subscription, place.resource_group, registry_name=place.name)


def _client(settings: Config, subscription: str, group: str, **place: str) -> "MLClient":
    if not available():
        raise Problem("The Azure SDK is not installed: run `uv sync --extra azure`.")
    if not subscription:
        file = "shared" if "registry_name" in place else settings.environment
        raise Problem(f"config/{file}.yml: the subscription is empty: write its id there, or run `mlops bootstrap`.")
    quiet()
    from azure.ai.ml import MLClient
    from azure.identity import DefaultAzureCredential

    # A pipeline or a person signs in; a browser that opens on a build agent would wait for ever.
    credential = DefaultAzureCredential(exclude_interactive_browser_credential=True)
    return MLClient(credential, subscription, group, enable_telemetry=False, show_progress=False, **place)


def faults(path: Path, schema: str) -> list[str]:
    """What Azure ML's own schema finds wrong with a YAML file whose `$schema` is `…/<schema>.schema.json`."""
    if schema not in LOADERS:
        return [f"unknown $schema {schema!r}; known are {', '.join(LOADERS)}"]
    with warnings.catch_warnings():
        quiet()
        from azure.ai.ml.entities import _load_functions as load  # the public names lack some of them

        try:
            entity = getattr(load, LOADERS[schema])(path)
        except Exception as error:  # the SDK raises many unrelated types, all of them about the file
            return [" ".join(str(error).split())[:500]]
        result = entity._validate() if hasattr(entity, "_validate") else None
    return [] if result is None or result.passed else [f"{key}: {text}" for key, text in result.error_messages.items()]

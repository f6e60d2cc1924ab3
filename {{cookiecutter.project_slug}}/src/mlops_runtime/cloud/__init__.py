"""Everything that needs the Azure SDK (the optional extra `azure`): nothing outside this package imports it.

The SDK takes seconds to import, so functions import it when they are called.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime.cloud.errors import explained
from mlops_runtime.config import Config, read_yaml
from mlops_runtime.errors import Problem

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.core.credentials import TokenCredential

# What a file is, by its $schema, and the SDK function that loads it.
LOADERS = {
    "pipelineJob": "load_job",
    "commandComponent": "load_component",
    "sparkComponent": "load_component",
    "environment": "load_environment",
    "data": "load_data",
    "schedule": "load_schedule",
    "monitorSchedule": "load_schedule",
    "managedOnlineEndpoint": "load_online_endpoint",
    "managedOnlineDeployment": "load_online_deployment",
    "kubernetesOnlineEndpoint": "load_online_endpoint",
    "kubernetesOnlineDeployment": "load_online_deployment",
    "batchEndpoint": "load_batch_endpoint",
    "modelBatchDeployment": "load_model_batch_deployment",
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
    logging.disable(logging.WARNING)  # its modules have loggers with levels of their own


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
        raise Problem(f"config/{file}.yml: the subscription is empty: write its id there.")
    quiet()
    from azure.ai.ml import MLClient

    with explained(f"To reach {next(iter(place.values()))}"):  # a registry is looked up at once
        return MLClient(credential(), subscription, group, enable_telemetry=False, show_progress=False, **place)


@cache
def credential() -> "TokenCredential":
    """Who runs this, as Azure knows them."""
    from azure.identity import DefaultAzureCredential

    from mlops_runtime.cloud import federation

    # A pipeline or a person signs in; a browser that opens on a build agent would wait for ever.
    lasting: TokenCredential | None = federation.credential()
    return lasting or DefaultAzureCredential(exclude_interactive_browser_credential=True)


@contextmanager
def hushed() -> Iterator[None]:
    """Without the dots, colours and progress bars that the SDK prints."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        yield


def word(state: Any) -> str:
    """The service's word for a state, which the SDK gives as a text or as an enumeration."""
    return str(getattr(state, "value", state))


def schema_of(content: Any) -> str:
    """What a YAML document is, by the last part of its $schema; empty when it has none."""
    return Path(str(content.get("$schema", ""))).name.removesuffix(".schema.json")


def load(file: Path, changed: dict[str, Any] | None = None) -> Any:
    """The SDK's object of a YAML file, with values for its dotted keys that differ from what is written there."""
    from azure.ai.ml.entities import _load_functions

    overrides = [{key: value} for key, value in (changed or {}).items()]
    return getattr(_load_functions, LOADERS[schema_of(read_yaml(file))])(file, params_override=overrides)


def faults(path: Path, changed: dict[str, Any] | None = None) -> list[str]:
    """What Azure ML's own schema finds wrong with a YAML file that has a `$schema`, `changed` as `load` changes it."""
    schema = schema_of(read_yaml(path))
    if schema not in LOADERS:
        return [f"unknown $schema {schema!r}; known are {', '.join(LOADERS)}"]
    with warnings.catch_warnings():
        quiet()
        try:
            entity = load(path, changed)
        except Exception as error:  # the SDK raises many unrelated types, all of them about the file
            return [" ".join(str(error).split())[:500]]
        try:
            result = entity._validate() if hasattr(entity, "_validate") else None
        except NotImplementedError:  # the SDK does not validate monitors
            return []
    return [] if result is None or result.passed else [f"{key}: {text}" for key, text in result.error_messages.items()]

"""Everything that needs the Azure SDK (the optional extra `azure`), imported only when it is called."""

import logging
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# What a file is, by its $schema, and the SDK function that loads it.
LOADERS = {
    "pipelineJob": "load_job",
    "commandComponent": "load_component",
    "environment": "load_environment",
    "data": "load_data",
}


def available() -> bool:
    """Whether the Azure SDK is installed."""
    try:
        return bool(version("azure-ai-ml"))
    except PackageNotFoundError:
        return False


def faults(path: Path, schema: str) -> list[str]:
    """What Azure ML's own schema finds wrong with a YAML file whose `$schema` is `…/<schema>.schema.json`."""
    if schema not in LOADERS:
        return [f"unknown $schema {schema!r}; known are {', '.join(LOADERS)}"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("azure").setLevel(logging.ERROR)
        import azure.ai.ml

        try:
            entity = getattr(azure.ai.ml, LOADERS[schema])(path)
        except Exception as error:  # the SDK raises many unrelated types, all of them about the file
            return [" ".join(str(error).split())[:500]]
        result = entity._validate() if hasattr(entity, "_validate") else None
    return [] if result is None or result.passed else [f"{key}: {text}" for key, text in result.error_messages.items()]

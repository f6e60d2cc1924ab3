"""Check configuration, YAML, data contract and references: everything that needs no Azure."""

import argparse
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime.commands.run import TRAINING
from mlops_runtime.errors import Problem

if TYPE_CHECKING:
    from mlops_runtime.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--infrastructure", action="store_true", help="also say what is missing before the estate on Azure can be made"
    )
    parser.add_argument(
        "--quota", action="store_true", help="instead: ask Azure whether the machines in config fit region and quota"
    )
    parser.add_argument(
        "--cost", action="store_true", help="instead: estimate what the estate costs in a month, with Azure's prices"
    )
    parser.add_argument("--env", help="with --quota or --cost: only this environment (shared, dev, staging or prod)")
    parser.add_argument("--currency", default="USD", help="with --cost: the currency of your bill (default: USD)")


def run(args: argparse.Namespace) -> int:
    """Do every check, even after one has failed; exit 1 when any has."""
    from mlops_runtime import config

    root = config.find_root()
    if args.quota or args.cost:
        return _asked(args, root)
    if args.env:
        raise Problem("--env goes with --quota or --cost: every other check looks at all environments.")
    checks: list[tuple[str, Callable[[Path], Iterator[str]]]] = [
        ("configuration", _configuration),
        ("training pipeline", _pipeline),
        ("Azure ML YAML", _azureml),
        ("compute", _compute),
        ("deployment", _deployment),
        ("data contract", _data),
        ("derived files", _derived),
        ("infrastructure data", _estate),
        ("template updates", _updates),
    ]
    if args.infrastructure:
        checks.append(("ready for Azure", _infrastructure))
    found = 0
    for label, check in checks:
        try:
            faults = list(check(root))
        except Problem as problem:
            faults = [str(problem)]
        found += len(faults)
        print(f"{'✗' if faults else '✓'} {label}")
        for fault in faults:
            print("    " + fault.replace("\n", "\n    "))
    return 1 if found else 0


def _asked(args: argparse.Namespace, root: Path) -> int:
    """What others must be asked for: Azure for its quota, its price list for costs; exit 1 when something lacks."""
    from mlops_runtime import config, costs, quota

    settings = [config.load(environment, root) for environment in config.ENVIRONMENTS]
    every = [costs.SHARED, *config.ENVIRONMENTS]
    if args.env not in (None, *every):
        raise Problem(f"--env {args.env} does not exist: choose {', '.join(every)}.")
    chosen = [args.env] if args.env else every
    faults: list[str] = []
    if args.quota:
        for fits, text in quota.check([one for one in settings if one.environment in chosen]):
            print(f"{'✓' if fits else '✗'} {text}")
            faults += [] if fits else [text]
    if args.cost:
        if not re.fullmatch("[A-Z]{3}", args.currency):
            raise Problem(f"--currency {args.currency} is none: write three capital letters, such as EUR.")
        found = list(costs.estimate(chosen, settings, args.currency))
        print("\n\n".join(costs.table(one, args.currency) for one in found))
        print(f"\nAll of it: {sum(one.month for one in found):.2f} {args.currency} a month, at today's list prices.")
        print(f"What is assumed and what is left out: {costs.QUANTITIES.as_posix()}.")
        wrong = [fault for one in found for fault in costs.faults(one, args.currency)]
        print("\n".join(f"✗ {fault}" for fault in wrong))
        faults += wrong
    return 1 if faults else 0


def _configuration(root: Path) -> Iterator[str]:
    from mlops_runtime import config

    unfinished = root / ".unfinished"
    if unfinished.exists():
        yield f"{unfinished}: {unfinished.read_text(encoding='utf-8').strip()}"
    for environment in config.ENVIRONMENTS:
        settings = config.load(environment, root)
        package = root / "src" / settings.project.package
        if not package.is_dir():
            yield f"config/shared.yml: project.package: there is no folder {package}."
            return


def _pipeline(root: Path) -> Iterator[str]:
    """The pipeline can run here, and a bare `az ml job create` would use the values that config has."""
    from mlops_runtime import config, pipeline

    settings: Config = config.load(root=root)
    file = root / TRAINING
    written = pipeline.load(file).inputs
    pipeline.load(file, settings.training)
    shared = config.load_shared(root / "config" / "shared.yml").training
    for name, value in written.items():
        if not isinstance(value, Path) and name not in shared:
            yield f"config/shared.yml: training.{name} is missing; {TRAINING.as_posix()} has {value!r}."
        elif name in shared and value != shared[name]:
            yield f"{TRAINING.as_posix()}: inputs.{name} is {value!r}; config/shared.yml has {shared[name]!r}."
    contents = [config.read_yaml(path) for path in sorted((root / "mlops" / "azureml").rglob("*.yml"))]
    known = {name for content in contents if isinstance(content, dict) for name in content.get("inputs", {})}
    for environment in config.ENVIRONMENTS:
        for name in sorted(config.load(environment, root).data.keys() - known):
            yield f"config/{environment}.yml: data.{name}: no pipeline under mlops/azureml has such an input."


def _azureml(root: Path) -> Iterator[str]:
    """Every file parses, names things that exist and, with the extra `azure` installed, fits Azure ML's schema."""
    from mlops_runtime import cloud, config

    files = sorted((root / "mlops" / "azureml").rglob("*.yml"))
    contents: dict[Path, Any] = {file: config.read_yaml(file) for file in files}
    assets = {content.get("name") for content in contents.values() if isinstance(content, dict)}
    name = config.load(root=root).project.name
    assets |= {name, f"{name}-reference"}  # made by the pipeline and by `mlops deploy`
    for file, content in contents.items():
        name = file.relative_to(root).as_posix()
        for key, text in _texts(content):
            if key in ("path", "code", "conda_file", "create_job") and not text.startswith("azureml:"):
                if not (file.parent / text).exists():
                    yield f"{name}: {key}: {text} does not exist."
            elif key in ("component", "environment") and not text.startswith("azureml:"):
                if not (file.parent / text.removeprefix("file:")).is_file():
                    yield f"{name}: {key}: {text} does not exist."
            elif key in ("component", "environment", "path", "model") and re.match("azureml:(?!//)", text):
                asset = text.removeprefix("azureml:").split("@")[0].split(":")[0]
                if asset not in assets:
                    yield f"{name}: {key}: {text}: no file under mlops/azureml is named {asset!r}."
        entry = content.get("entry", {}).get("file") if isinstance(content, dict) else None
        if entry and not (file.parent / content["code"] / entry).is_file():
            yield f"{name}: entry.file: {entry} does not exist."
        code = content.get("code_configuration") if isinstance(content, dict) else None
        if code and not (file.parent / code["code"] / code["scoring_script"]).is_file():
            yield f"{name}: code_configuration.scoring_script: {code['scoring_script']} does not exist."
        if cloud.schema_of(content) and cloud.available():
            for fault in cloud.faults(file):
                yield f"{name}: {fault}"


def _compute(root: Path) -> Iterator[str]:
    """What config says of the training pipeline's steps fits them, and Azure ML's schema."""
    from mlops_runtime import cloud, config
    from mlops_runtime.cloud import jobs
    from mlops_runtime.cloud.assets import Assets

    for environment in config.ENVIRONMENTS:
        settings = config.load(environment, root)
        changed = jobs.overrides(settings, root / TRAINING, dict(settings.training), Assets(None), {})
        if settings.compute.steps and cloud.available():
            for fault in cloud.faults(root / TRAINING, changed):
                yield f"config/{environment}.yml: compute: {fault}"


def _deployment(root: Path) -> Iterator[str]:
    """What config says in place of values of the endpoint and its deployments fits Azure ML's schema too."""
    import importlib
    from importlib.util import find_spec

    from mlops_runtime import cloud, config

    if find_spec("mlops_runtime.release") is None or not cloud.available():
        return
    release = importlib.import_module("mlops_runtime.release")
    for environment in config.ENVIRONMENTS:
        for file, changed in release.changes(config.load(environment, root)).items():
            for fault in cloud.faults(root / file, changed):
                yield f"config/{environment}.yml: deployment: {file.name}: {fault}"


def _estate(root: Path) -> Iterator[str]:
    """infrastructure/*.yml fit together."""
    from mlops_runtime import infrastructure

    yield from infrastructure.inconsistent(root)


def _infrastructure(root: Path) -> Iterator[str]:
    """Everything is filled in that the estate needs; what only should be known is printed and no fault."""
    from mlops_runtime import config, infrastructure

    settings = [config.load(environment, root) for environment in config.ENVIRONMENTS]
    for warning in infrastructure.warnings(settings):
        print(f"! {warning}")
    yield from infrastructure.missing(root, settings)


def _updates(root: Path) -> Iterator[str]:
    """No conflict of a template update is left."""
    from mlops_runtime import merging

    if shutil.which("git") is None:  # no update was merged here, and none can be
        return
    for name in merging.unresolved(root):
        yield f"{name} has a conflict of a template update: resolve it."


def _texts(content: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All texts of a YAML document with the key they stand under."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _texts(value, str(name))
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value, key)
    elif isinstance(content, str):
        yield key, content


def _data(root: Path) -> Iterator[str]:
    """The training data keeps the contract."""
    import importlib
    import sys

    from mlops_runtime import config, pipeline
    from mlops_runtime.contract import Contract

    inputs = pipeline.load(root / TRAINING).inputs
    contract = Contract.load(Path(str(inputs["contract"])))
    sys.path.insert(0, str(root / "src"))
    data = importlib.import_module(f"{config.load(root=root).project.package}.data")
    data.load(Path(str(inputs["raw_data"])), contract)
    yield from ()


def _derived(root: Path) -> Iterator[str]:
    from mlops_runtime import config, derived

    for environment in config.ENVIRONMENTS:
        config.load(environment, root)  # what is wrong there is said in words
    for path in derived.stale(root):
        yield f"{path.relative_to(root).as_posix()} is out of date; run `mlops config render`."

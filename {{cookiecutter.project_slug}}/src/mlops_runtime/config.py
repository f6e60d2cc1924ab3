"""The settings in config/*.yml, checked against a schema: errors name the file, the key and the fix.

What is under deployment: belongs to where the model serves, so its schema is that plug-in's: `target.Deployment`.
"""

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator

from mlops_runtime.errors import Problem
from mlops_runtime.files import read_yaml as read_yaml
from mlops_runtime.infrastructure import EnvironmentInfrastructure, SharedInfrastructure
from mlops_runtime.schema import Section as Section  # plug-ins take it from here

ENVIRONMENTS = ("dev", "staging", "prod")
Scalar = str | int | float | bool
S = TypeVar("S", bound="Section")


class Project(Section):
    """What the repository is called, in every environment."""

    name: str
    package: str
    task: str


class Limit(Section):
    """A metric's allowed range; at least one end."""

    min: float | None = None
    max: float | None = None

    @field_validator("max")
    @classmethod
    def some_limit(cls, value: float | None, info: Any) -> float | None:
        """Refuse a range without ends."""
        if value is None and info.data.get("min") is None:
            raise ValueError("give min, max or both")
        return value


class ChampionGate(Section):
    """How sure it must be that the candidate beats the champion on the same test rows."""

    confidence: float = Field(gt=0, lt=1)
    min_improvement: float


class CohortGate(Section):
    """How far a metric may differ between the groups of a column."""

    columns: list[str]
    metric: str
    max_gap: float = Field(ge=0)
    min_rows: int = Field(gt=0)


class Gates(Section):
    """What a candidate must pass to be registered."""

    metrics: dict[str, Limit]
    champion: ChampionGate
    cohorts: CohortGate


class Signal(Section):
    """When a monitored number is too high, and what to do then."""

    threshold: float = Field(ge=0)
    action: Literal["none", "investigate", "retrain"]


class Monitoring(Section):
    """The signals watched in production."""

    min_rows: int = Field(gt=0)
    signals: dict[str, Signal]


Until = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}\b")]  # a day and a reason
Subscription = Annotated[str, Field(pattern=r"^$|^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
Location = Annotated[str, Field(pattern="^[a-z0-9]+$")]
ResourceGroup = Annotated[str, Field(max_length=90, pattern=r"^[A-Za-z0-9._()-]*[A-Za-z0-9_()-]$")]


class Registry(Section):
    """The registry through which models go from one environment to the next."""

    subscription: Subscription
    location: Location
    resource_group: ResourceGroup
    name: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{2,32}$")


class StagingReviewers(Section):
    """Who approves for staging."""

    model_tester: list[str] = Field(default_factory=list)


class ProductionReviewers(Section):
    """Who approves for production, and what the environments share: one of each."""

    project_lead: list[str] = Field(default_factory=list)
    product_owner: list[str] = Field(default_factory=list)


class Reviewers(Section):
    """Who approves on the CI system, by environment and persona."""

    staging: StagingReviewers = StagingReviewers()
    prod: ProductionReviewers = ProductionReviewers()

    def of(self, environment: str) -> dict[str, list[str]]:
        """Names by persona; nobody for dev."""
        key = self.key(environment)
        return dict(getattr(self, key)) if key else {}

    @staticmethod
    def key(environment: str) -> str:
        """Where the names for `environment`, or for shared, are."""
        return {"staging": "staging", "prod": "prod", "shared": "prod"}.get(environment, "")


class Approvals(Section):
    """How many people must approve a model on its way to an environment; the author alone never suffices."""

    staging: int = Field(ge=1)
    prod: int = Field(ge=1)
    reviewers: Reviewers = Reviewers()
    unprotected: str = ""


class Staging(Section):
    """How a candidate is tried on production data before production."""

    retrain: bool


class Shared(Section):
    """config/shared.yml: what is the same in every environment."""

    project: Project
    registry: Registry
    infrastructure: SharedInfrastructure
    approvals: Approvals
    staging: Staging
    accepted_vulnerabilities: dict[str, Until] = Field(default_factory=dict)
    training: dict[str, Scalar]
    gates: Gates
    monitoring: Monitoring
    deployment: Any = Field(default_factory=dict)


class Azure(Section):
    """Where the environment lives on Azure."""

    subscription: Subscription
    location: Location
    resource_group: ResourceGroup
    workspace: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{2,32}$")


class Objective(Section):
    """What a sweep looks for."""

    goal: Literal["minimize", "maximize"]
    primary_metric: str


class Sweep(Section):
    """The keys of a sweep in Azure ML's own words; its SDK checks what is in them."""

    search_space: dict[str, dict[str, Any]] = Field(min_length=1)
    objective: Objective
    limits: dict[str, int]
    sampling_algorithm: str | dict[str, Any] = "random"
    early_termination: dict[str, Any] | None = None


class StepCompute(Section):
    """What a step of a pipeline runs on, and as what, when it is not what the others run on."""

    compute: str | None = None
    instance_type: str | None = None
    instances: int = Field(default=1, ge=1)
    processes_per_instance: int | None = Field(default=None, ge=1)
    identity: Literal["managed", "user_identity"] | None = None
    sweep: Sweep | None = None  # instead of one run of the step, many
    component: str | None = None  # instead of the step's own, a file beside it: with Spark
    runtime_version: str = "3.5"  # of Spark
    conf: dict[str, Scalar] = Field(default_factory=dict)  # of Spark, over what the component says


class Compute(Section):
    """What jobs run on."""

    default: str
    steps: dict[str, StepCompute] = Field(default_factory=dict)


class Contacts(Section):
    """Who is told when something needs a person."""

    owner: str = Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")


class EnvironmentSettings(Section):
    """config/<environment>.yml: what differs between environments."""

    azure: Azure
    compute: Compute
    data: dict[str, str] = Field(default_factory=dict)
    contacts: Contacts
    training: dict[str, Scalar] = Field(default_factory=dict)
    deployment: dict[str, Any] = Field(default_factory=dict)
    infrastructure: EnvironmentInfrastructure


class Config(Shared):
    """All settings of one environment."""

    root: Path
    environment: str
    azure: Azure
    compute: Compute
    data: dict[str, str]
    contacts: Contacts
    deployment: Section
    estate: EnvironmentInfrastructure


def find_root(start: Path | None = None) -> Path:
    """The repository's folder: the nearest one upwards that holds config/shared.yml."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "config" / "shared.yml").is_file():
            return folder
    raise Problem(f"No config/shared.yml in {here} or above: change to the project's folder first.")


def read_section(path: Path, schema: type[S]) -> S:
    """The file's content as `schema`; everything that breaks it in one Problem."""
    return validated(read_yaml(path), schema, f"{path}: ")


def validated(content: Any, schema: type[S], where: str) -> S:
    """The content as `schema`; everything that breaks it in one Problem, its keys after `where`."""
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        lines = [f"{where}{'.'.join(map(str, e['loc'])) or 'the file'}: {_advice(e, schema)}" for e in error.errors()]
        raise Problem("\n".join(lines)) from None


def _advice(error: Any, schema: type[Section]) -> str:
    """One schema error in words: what is wrong and what would be right."""
    kind, value = error["type"], error["input"]
    if kind == "missing":
        return "this key is missing; add it."
    if kind == "extra_forbidden":
        known = f"; the keys here are {', '.join(schema.model_fields)}" if len(error["loc"]) == 1 else ""
        return f"unknown key; remove it or correct its spelling{known}."
    return f"{error['msg'].removeprefix('Value error, ')} (it is {value!r})."


def load_shared(path: Path) -> Shared:
    """Only config/shared.yml, as a step gets it."""
    return read_section(path, Shared)


def load(environment: str = "dev", root: Path | None = None) -> Config:
    """The settings of `environment`: config/shared.yml with config/<environment>.yml over it."""
    if environment not in ENVIRONMENTS:
        raise Problem(f"Environment {environment!r} does not exist: choose {', '.join(ENVIRONMENTS)}.")
    root = root or find_root()
    shared = load_shared(root / "config" / "shared.yml")
    own = read_section(root / "config" / f"{environment}.yml", EnvironmentSettings)
    unknown = sorted(own.training.keys() - shared.training.keys())
    if unknown:
        raise Problem(
            f"config/{environment}.yml: training.{unknown[0]}: not a key of training in config/shared.yml; "
            f"the keys there are {', '.join(shared.training)}."
        )
    return Config.model_validate(
        {
            **dict(shared),
            **dict(own),
            "root": root,
            "environment": environment,
            "infrastructure": shared.infrastructure,
            "estate": own.infrastructure,
            "training": {**shared.training, **own.training},
            "deployment": _deployment({**shared.deployment, **own.deployment}, environment),
        }
    )


def _deployment(content: dict[str, Any], environment: str) -> Section:
    """The settings of where the model serves, as its plug-in wants them."""
    if find_spec("mlops_runtime.target") is None:
        return validated(content, Section, "config/shared.yml: deployment.")
    schema: type[Section] = importlib.import_module("mlops_runtime.target").Deployment
    return validated(content, schema, f"config/shared.yml with config/{environment}.yml: deployment.")

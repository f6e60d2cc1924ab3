"""What all steps of the bootstrap read: settings, who is signed in, and what earlier steps found or made."""

import hashlib
import importlib
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from mlops_runtime import config, infrastructure
from mlops_runtime.bootstrap import edit
from mlops_runtime.bootstrap.steps import STALE, Facts, Known, Later, Record, Step
from mlops_runtime.bootstrap.tools import az

SHARED = "shared"
PLAN = "plan"  # who compares every environment with config and changes none
MONITOR = "monitor"  # who looks at what has happened, where nobody is there to approve
READERS = (PLAN, MONITOR)
DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789"
SUFFIX_LENGTH = 5


@dataclass
class Context:
    """One run. `package_hosts` are those of the Python package index, as far as known, with where they come from."""

    root: Path
    record: Record
    package_hosts: list[str]
    package_source: str
    month: str
    known: Known = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = {name: config.load(name, self.root) for name in config.ENVIRONMENTS}
        self.shared = self.settings["prod"]
        self.project = self.shared.project.name
        self.account: Facts = az("account", "show")
        self.data: dict[str, Any] = config.read_yaml(self.root / infrastructure.FOLDER / "pipelines.yml")
        self.rbac: dict[str, Any] = config.read_yaml(self.root / infrastructure.FOLDER / "rbac.yml")
        self.roles: dict[str, str] = config.read_yaml(self.root / infrastructure.FOLDER / "roles.yml")
        self.single = self.shared.infrastructure.workspaces == "one"
        self.environments = [SHARED, "prod"] if self.single else [SHARED, *config.ENVIRONMENTS]
        self.identities = [*self.environments, *READERS]  # whose pipelines sign in each as itself

    @property
    def tenant(self) -> str:
        """The id of the directory."""
        return str(self.account["tenantId"])

    def file(self, environment: str) -> Path:
        """The file with the settings of an environment, or of shared."""
        return self.root / "config" / f"{environment}.yml"

    def place(self, environment: str) -> config.Registry | config.Azure:
        """Where an environment is on Azure; of who only reads, what all share."""
        return self.shared.registry if environment in (SHARED, *READERS) else self.settings[environment].azure

    def subscription(self, environment: str) -> str:
        """The subscription of an environment: that in config, else the one that `az` is signed in to."""
        return self.place(environment).subscription or str(self.account["id"])

    def scope(self, environment: str) -> str:
        """The id of an environment's resource group."""
        group = self.place(environment).resource_group
        return f"/subscriptions/{self.subscription(environment)}/resourceGroups/{group}"

    def owner(self, environment: str) -> str:
        """Who answers for an environment."""
        return self.settings["prod" if environment == SHARED else environment].contacts.owner

    def reviewers(self, environment: str) -> list[str]:
        """The personas who approve what pipelines do in an environment."""
        return list(self.shared.approvals.reviewers.of(environment))

    def estate(self, environment: str) -> infrastructure.Place:
        """What is made in an environment."""
        return self.shared.infrastructure if environment == SHARED else self.settings[environment].estate

    def suffix(self) -> str:
        """A name suffix that is always the same for this project in this subscription."""
        words = "/".join((self.tenant, self.subscription(SHARED), self.project))
        number = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big")
        return "".join(DIGITS[number // len(DIGITS) ** place % len(DIGITS)] for place in range(SUFFIX_LENGTH))

    def stages(self, environment: str) -> list[str]:
        """The tables of rbac.yml that apply to an environment."""
        if self.single and environment != SHARED:
            return ["production", "pre_production"]
        return ["pre_production"] if environment == "dev" else ["production"]

    def setting(
        self, environment: str, key: tuple[str, ...], value: Any, *, needs: tuple[str, ...] = (), empty: Any = ""
    ) -> Step:
        """The step that fills in an empty value of config; `value` computes it. `empty` is None for an absent key."""
        file, name = self.file(environment), ".".join(key)
        step = f"config/{environment}/{name}"

        def find() -> Facts | None:
            there = edit.read(file, key)
            if there in (None, "", []):
                return None
            ours = bool(needs) and self.record.made.get(step, {}).get("value") == there
            return {"value": there, STALE: ours and there != value()}  # what it names was made again

        def make() -> Facts:
            wanted = value()
            edit.write(file, key, wanted)
            return {"value": wanted}

        def undo(facts: Facts) -> None:
            if edit.read(file, key) != facts["value"]:
                return  # somebody has changed it since
            if empty is None:
                edit.remove(file, key)
            else:
                edit.write(file, key, empty)

        return Step(step, f"config/{environment}.yml: {name}", find, make, undo, needs)


def plug_in(name: str) -> ModuleType | None:
    """What a layer adds under this name: `ci` for the CI system, `iac` for the tool of the infrastructure."""
    module = f"mlops_runtime.{name}"
    return importlib.import_module(module) if find_spec(module) else None


def settings(context: Context) -> list[Step]:
    """Fill in what config leaves to the bootstrap."""
    account = str(context.account["id"])
    steps = [context.setting(SHARED, ("registry", "subscription"), lambda: account)]
    steps += [context.setting(name, ("azure", "subscription"), lambda: account) for name in config.ENVIRONMENTS]
    steps.append(context.setting(SHARED, ("infrastructure", "name_suffix"), context.suffix))
    steps.append(context.setting(SHARED, ("infrastructure", "budget_start"), lambda: context.month))
    steps.append(_package_index(context))
    return steps


def _package_index(context: Context) -> Step:
    key = ("infrastructure", "approved_outbound", "package_index")
    step = context.setting(SHARED, key, lambda: context.package_hosts, empty=[])

    def find() -> Facts | None:
        facts = step.find()
        if facts is None and not context.package_hosts:
            raise Later("pip and uv are configured for no index: give --package-index URL --package-files URL")
        return facts

    hosts = f": {', '.join(context.package_hosts)}, from {context.package_source}" if context.package_hosts else ""
    return Step(step.name, step.what + hosts, find, step.make, step.undo)

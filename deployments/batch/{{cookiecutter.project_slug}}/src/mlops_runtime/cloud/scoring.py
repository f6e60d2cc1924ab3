"""A batch endpoint on Azure: its deployments, which one is the default, and jobs that score files."""

import csv
import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime import cloud
from mlops_runtime.cloud import jobs
from mlops_runtime.cloud.errors import explained
from mlops_runtime.cloud.releases import DIGEST, Endpoint
from mlops_runtime.config import Config
from mlops_runtime.errors import Refusal

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

PREVIOUS = "previous"  # tag of the endpoint: the default before this one
PREDICTIONS = "predictions.csv"
SEPARATOR = " "  # that Azure ML puts between the columns of a table, whatever the file is called


class Batch(Endpoint):
    """The endpoint that config names."""

    def __init__(self, settings: Config, client: "MLClient") -> None:
        super().__init__(settings, client.batch_endpoints, client.batch_deployments)
        self.client = client

    def default(self) -> str:
        """The deployment that scores when none is named; empty when there is none."""
        return str(getattr(getattr(self.read(), "defaults", None), "deployment_name", None) or "")

    def tag(self, name: str) -> str:
        """A tag of the endpoint; empty when it has none of this name."""
        there = self.read()
        return str((there.tags or {}).get(name, "")) if there is not None else ""

    def existing(self) -> dict[str, tuple[str, str]]:
        """Digest and state of every deployment."""
        if self.read() is None:
            return {}
        with explained(f"To look at the deployments of {self.name}"):
            found = list(self.deployments.list(self.name))
        return {one.name: (str((one.tags or {}).get(DIGEST, "")), cloud.word(one.provisioning_state)) for one in found}

    def make_default(self, name: str) -> None:
        """Let a deployment score from now on, and remember the one before."""
        before = self.default()

        def edit(entity: Any) -> None:
            entity.defaults = {"deployment_name": name}
            entity.tags |= {PREVIOUS: before} if before and before != name else {}

        self.change(edit, end=True)

    def delete(self, name: str) -> None:
        """Remove a deployment."""
        with explained(f"To remove the deployment {name}"):
            self.deployments.begin_delete(name, self.name).result()

    def score(self, name: str, folder: Path) -> list[list[str]]:
        """The rows that the deployment `name` answers to the files in a folder; Refusal when its job fails."""
        from azure.ai.ml import Input

        sample = Input(type="uri_folder", path=str(folder))
        with explained(f"To try the deployment {name}"), cloud.hushed():
            job = self.operations.invoke(self.name, deployment_name=name, input=sample)
        print(f"  trying {name}: job {job.name}", flush=True)
        ended = jobs.wait(self.client, str(job.name))
        if ended.status != "Completed":
            log = f" in the step {ended.step}, whose log ends:\n{ended.log}" if ended.step else ""
            raise Refusal(f"{name} failed its test: the job {job.name} ended as {ended.status}{log}")
        with (
            tempfile.TemporaryDirectory() as scratch,
            explained(f"To fetch the predictions of {job.name}"),
            cloud.hushed(),
        ):
            child = next(iter(self.client.jobs.list(parent_job_name=job.name)))
            self.client.jobs.download(str(child.name), download_path=scratch, output_name="score")
            found = next(Path(scratch).rglob(PREDICTIONS), None)
            text = found.read_text(encoding="utf-8") if found else ""
        return list(csv.reader(io.StringIO(text), delimiter=SEPARATOR))

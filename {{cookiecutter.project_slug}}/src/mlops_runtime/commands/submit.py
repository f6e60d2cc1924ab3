"""Run the training pipeline on Azure ML: the YAML of `mlops run`, with what config says of the environment."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_runtime.commands.run import TRAINING, inputs
from mlops_runtime.config import ENVIRONMENTS

if TYPE_CHECKING:
    from mlops_runtime.cloud.jobs import Ended


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--env", required=True, choices=ENVIRONMENTS, help="environment whose workspace runs it")
    parser.add_argument(
        "--pipeline", type=Path, metavar="FILE", help=f"pipeline job to submit (default: {TRAINING.as_posix()})"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="value for one pipeline input; may be repeated"
    )
    parser.add_argument("--wait", action="store_true", help="stay until the job is over and say which step failed")
    parser.add_argument("--job", metavar="NAME", help="submit nothing: look at, or with --wait await, this job")
    parser.add_argument(
        "--scheduled", action="store_true", help="start the scheduled training before its time, unless it runs already"
    )
    parser.add_argument("--dry-run", action="store_true", help="send nothing: print what differs from the YAML")


def run(args: argparse.Namespace) -> int:
    """Submit, or look at a submitted job: 0 done or accepted, 1 refused by a gate or not over yet, 2 failed."""
    from mlops_runtime import cloud, config, register
    from mlops_runtime.cloud import jobs, schedules
    from mlops_runtime.cloud.assets import Assets

    settings = config.load(args.env)
    if args.scheduled:
        print(f"Training as {schedules.train_now(settings, cloud.workspace(settings))}")
        return 0
    if args.job:
        client = cloud.workspace(settings)
        return report(args, jobs.wait(client, args.job) if args.wait else jobs.look(client, args.job))
    path = args.pipeline or settings.root / TRAINING
    values = inputs(settings, path, args.set)
    variables = register.provenance()
    if args.dry_run:
        for key, value in jobs.overrides(settings, path, values, Assets(None), variables).items():
            print(f"{key}: {value}")
        return 0
    client = cloud.workspace(settings)
    changed = jobs.overrides(settings, path, values, Assets(client), variables)
    job = jobs.submit(client, path, changed, {"git_commit": variables[register.COMMIT]})
    print(f"Submitted {job.name}\n{job.studio_url}", flush=True)
    return report(args, jobs.wait(client, str(job.name))) if args.wait else 0


def report(args: argparse.Namespace, job: "Ended") -> int:
    """Say how a job ended."""
    from mlops_runtime.errors import Problem, Refusal

    print(f"{job.name}: {job.status}")
    if job.status == "Completed":
        return 0
    if not job.over:
        print(f"It is not over: `mlops submit --env {args.env} --job {job.name} --wait` goes on waiting.")
        return 1
    if job.refused:
        raise Refusal(job.log)
    where = f" in the step {job.step}, whose log ends:\n{job.log}" if job.step else ""
    raise Problem(f"The job {job.name} ended as {job.status}{where}")

"""The last step: register the candidate if its evaluation passed every gate, with all that explains it."""

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mlops_runtime.errors import Refusal
from mlops_runtime.files import write_json
from mlops_runtime.gates import Verdict

# Steps on Azure ML run without the repository, so `mlops submit` says where the code comes from.
COMMIT, AUTHOR, PARENT = "MLOPS_GIT_COMMIT", "MLOPS_GIT_AUTHOR", "MLOPS_PARENT"
REFUSED = 3  # exit code of a step that worked and said no; the runner tells it apart from a crash


def register(model: Path, evaluation: Path, name: str) -> dict[str, str | bool]:
    """Register the MLflow model in `model`, its evaluation inside it, as the next version of `name`.

    A model with the same content that is already registered is found, not registered twice. Returns what the
    registration output records: the version and its lineage. Refusal if the champion is not the one compared with.
    """
    from mlops_runtime import tracking

    content = tracking.digest(tracking.model_data(model))
    same = [v for v in tracking.versions(name) if v.tags.get("model_digest") == content and "retired" not in v.tags]
    if same:
        if os.environ.get(PARENT):  # several candidates can lead to the same model on production data
            tracking.tag(same[0], "parent", os.environ[PARENT])
        print(f"{name} version {same[0].version} is this model already.")
        return {"registered": True, "name": name, "version": same[0].version, **same[0].tags}

    metrics = json.loads((evaluation / "metrics.json").read_text(encoding="utf-8"))
    champion = tracking.champion(name)
    if champion and metrics["champion_asked_for"] == "latest" and champion.version != metrics["champion"]:
        # Steps are reused, so the evaluation may be older than the champion.
        compared = f"version {metrics['champion']}" if metrics["champion"] else "no champion"
        raise Refusal(
            f"The evaluation compared with {compared}, but the champion is version {champion.version} by now: "
            "run `mlops run --force` to compare again."
        )
    values = {metric: found["value"] for metric, found in metrics["metrics"].items()}
    tags = {
        "gates": "passed",
        "model_digest": content,
        "data_version": metrics["data_version"],
        **lineage(),
        "environment": f"python {platform.python_version()}, requirements {_fingerprint(model / 'requirements.txt')}",
        **{f"metric.{metric}": f"{value:.6g}" for metric, value in values.items() if value is not None},
    }
    with tracking.start_step("register") as run, tempfile.TemporaryDirectory() as scratch:
        import mlflow

        bundle = Path(scratch, "model")
        shutil.copytree(model, bundle)
        shutil.copytree(evaluation, bundle / "evaluation")
        mlflow.log_artifacts(str(bundle), "model")
        mlflow.set_tags(tags)
        version = tracking.register(name, f"{run.info.artifact_uri}/model", run.info.run_id, tags)
    print(f"Registered {name} version {version}.")
    return {"registered": True, "name": name, "version": version, **tags}


def _fingerprint(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def provenance() -> dict[str, str]:
    """Where the code that runs comes from, as environment variables for steps that run elsewhere."""
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain")
    return {
        COMMIT: os.environ.get(COMMIT) or (commit + ("+changes" if changed else "") if commit else "unknown"),
        AUTHOR: os.environ.get(AUTHOR) or _git("log", "-1", "--format=%ae") or "unknown",
    }


def lineage() -> dict[str, str]:
    """The tags that say where a model comes from: commit ("+changes" when files differ), its author, the parent."""
    found = provenance()
    tags = {"git_commit": found[COMMIT], "git_author": found[AUTHOR]}
    return tags | ({"parent": os.environ[PARENT]} if os.environ.get(PARENT) else {})


def _git(*arguments: str) -> str:
    """What git prints; empty outside a repository and where there is no git."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="MLflow model folder")
    parser.add_argument("--evaluation", type=Path, required=True, help="folder that the evaluate step wrote")
    parser.add_argument("--name", required=True, help="name in the registry")
    parser.add_argument("--registration", type=Path, required=True, help="folder for registration.json")
    args = parser.parse_args()

    verdict = Verdict.read(args.evaluation / "verdict.json")
    if not verdict.passed:
        print("Not registered:")
        for reason in verdict.refusals:
            print(f"  {reason}")
        return REFUSED
    try:
        record = register(args.model, args.evaluation, args.name)
    except Refusal as refusal:
        print(f"Not registered: {refusal}")
        return REFUSED
    args.registration.mkdir(parents=True, exist_ok=True)
    write_json(args.registration / "registration.json", record)
    return 0


if __name__ == "__main__":
    sys.exit(main())

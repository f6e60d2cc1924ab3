"""A small Azure ML pipeline with steps that take no time, for tests of the local runner."""

from pathlib import Path

CONFIG = """\
project: {name: toy, package: toy, task: none}
registry: {subscription: "", location: westeurope, resource_group: rg-shared, name: mlr-toy}
approvals: {staging: 1, prod: 2}
staging: {retrain: true}
training: {word: hello}
infrastructure:
  name_suffix: ""
  workspaces: separate
  approved_outbound: {microsoft_artifact_registry: [mcr.microsoft.com], conda: [], package_index: [], project: []}
  serving: online
  groups: {}
  just_in_time: false
  contacts:
    data_scientist: [team@example.com]
    project_lead: [team@example.com]
    product_owner: [team@example.com]
    platform_technical_support: [team@example.com]
  lake: {zones: [bronze, silver, gold, packages], cool_after_days: 90, delete_bronze_after_days: 365}
  log_days: 90
  alerts:
    size: small
    sizes:
      small: {requests_per_minute: 600, throttling_ms: 10000, client_errors: 60, server_errors: 5, latency_ms: 1000}
    unreached: 3
    refused_callers: 20
    key_use: 0
    failed_jobs: 0
    queue_minutes: 60
    missing_nodes: 0
    quota_percent: 90
    node_percent: 85
    availability_percent: 99
    active_cores: 0
    stale_days: 14
    ongoing_requests: 1000
    ongoing_days: 30
    unused_requests: 0
    unused_days: 30
  budget_start: ""
  budget: {monthly: 100, spent: [50, 80, 100], forecast: [110]}
  allowed_addresses: []
  private_endpoints: {subnet: "", zones: ""}
  defender: []
  existing: {}
gates:
  metrics: {score: {min: 0.5}}
  champion: {confidence: 0.95, min_improvement: 0.0}
  cohorts: {columns: [group], metric: score, max_gap: 0.1, min_rows: 5}
monitoring:
  min_rows: 10
  signals: {data_drift: {threshold: 0.2, action: investigate}}
"""

ENVIRONMENT = """\
azure: {subscription: "", location: westeurope, resource_group: rg-toy, workspace: mlw-toy}
compute: {default: cpu-cluster}
contacts: {owner: team@example.com}
infrastructure:
  groups: {}
  clusters: {cpu-cluster: {size: Standard_DS3_v2, nodes: 4}}
  endpoint: false
  budget: {monthly: 100, spent: [50, 80, 100], forecast: [110]}
  firewall: Standard
  allowed_addresses: []
  private_endpoints: {subnet: "", zones: ""}
  protect: false
  existing: {}
"""

PIPELINE = """\
type: pipeline
display_name: toy
inputs:
  text: {type: uri_file, path: ../../../data/text.txt}
  word: hi
settings: {default_compute: azureml:cpu-cluster}
jobs:
  second:
    type: command
    component: ./second.yml
    inputs:
      lines: ${{parent.jobs.first.outputs.lines}}
  first:
    type: command
    component: ./first.yml
    inputs:
      text: ${{parent.inputs.text}}
      word: ${{parent.inputs.word}}
"""

FIRST = """\
type: command
name: first
inputs:
  text: {type: uri_file}
  word: {type: string}
  loud: {type: boolean, default: false}
  suffix: {type: string, optional: true}
outputs:
  lines: {type: uri_folder}
code: ../../../src
command: >-
  python -m steps.first --text ${{inputs.text}} --word ${{inputs.word}} --loud ${{inputs.loud}}
  $[[--suffix ${{inputs.suffix}}]] --lines ${{outputs.lines}}
"""

SECOND = """\
type: command
name: second
inputs:
  lines: {type: uri_folder}
outputs:
  count: {type: uri_file}
code: ../../../src
command: python -m steps.second ${{inputs.lines}} ${{outputs.count}}
"""

FIRST_CODE = """\
import argparse, pathlib
p = argparse.ArgumentParser()
for name in ("text", "word", "loud", "lines", "suffix"):
    p.add_argument("--" + name)
a = p.parse_args()
if a.word == "crash":
    raise SystemExit("it went wrong here")
if a.word == "problem":
    from mlops_runtime.errors import Problem
    raise Problem("the word is 'problem':\\nwrite another")
if a.word == "refuse":
    print("not good enough")
    raise SystemExit(3)
if a.word != "silent":
    pathlib.Path(a.lines, "out.txt").write_text(f"{open(a.text).read()}|{a.word}|{a.loud}|{a.suffix}")
"""

SECOND_CODE = """\
import pathlib, sys
pathlib.Path(sys.argv[2]).write_text(str(len(pathlib.Path(sys.argv[1], "out.txt").read_text())))
print("counted")
"""


def write(root: Path) -> Path:
    """Lay the project out under `root` and return the pipeline's file."""
    files = {
        "config/shared.yml": CONFIG,
        **{f"config/{name}.yml": ENVIRONMENT for name in ("dev", "staging", "prod")},
        "data/text.txt": "text",
        "mlops/azureml/train/pipeline.yml": PIPELINE,
        "mlops/azureml/train/first.yml": FIRST,
        "mlops/azureml/train/second.yml": SECOND,
        "src/steps/first.py": FIRST_CODE,
        "src/steps/second.py": SECOND_CODE,
        "src/toy/__init__.py": "",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root / "mlops/azureml/train/pipeline.yml"

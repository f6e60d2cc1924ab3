"""A small Azure ML pipeline with steps that take no time, for tests of the local runner."""

from pathlib import Path

CONFIG = """\
project: {name: toy, package: toy, task: none}
registry: {subscription: "", location: westeurope, resource_group: rg-shared, name: mlr-toy}
approvals: {staging: 1, prod: 2}
staging: {retrain: true}
training: {word: hello}
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

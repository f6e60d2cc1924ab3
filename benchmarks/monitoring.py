"""How often `mlops monitor` fires when nothing has changed, and whether it fires when something has.

    PYTHON benchmarks/monitoring.py PROJECT [--resamples N] [--seed S] [--rows M ...]

PROJECT is a generated project in which `mlops run` has registered a model, PYTHON an interpreter with its dependencies.

All but forecasting, without change: the reference's rows are split at random, one half is the reference, from
the other come the rows to look at; so both have the noise of samples. With change: faults planted in such rows, and the
rows of data/*-new.*. Of texts likewise: a new product, lost texts, a wrong encoding.

Images: the same, with the images' outputs; planted are darker and blurred images, a new background and a new class from
the project's generator of samples, and wrong labels.

Forecasting: days cannot be drawn at random, so the series are simulated, as in the project's tests/test_monitor.py:
a weekly pattern with noise, of which eight new weeks are looked at; the faults are planted by those tests.
"""

import argparse
import dataclasses
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

IMAGES = ("image-classification", "segmentation")


def plant(watched: Any) -> dict[str, Callable[[pd.DataFrame], pd.DataFrame]]:
    """Name → what breaks the rows: a sensor in another unit, a new category, missing values, wrong labels."""
    if "text" in watched.model.inputs:
        return plant_in_texts(watched.model.targets[0])
    number = max(
        watched.model.inputs, key=lambda name: watched.reference[name].nunique() if _is_number(watched, name) else 0
    )
    text = next(name for name in watched.model.inputs if watched.contract.columns[name].type == "string")
    target = watched.model.targets[0]

    def flip(rows: pd.DataFrame) -> pd.DataFrame:
        values = rows[target]
        return rows.assign(
            **{target: 1 - values if set(values) <= {0, 1} else values.sample(frac=1, random_state=0).to_numpy()}
        )

    return {
        f"{number} times 1.8": lambda rows: rows.assign(**{number: rows[number] * 1.8}),
        f"{text}: 20 % new": lambda rows: rows.assign(**{text: rows[text].mask(np.arange(len(rows)) % 5 == 0, "??")}),
        f"{number}: 20 % missing": lambda rows: rows.assign(
            **{number: rows[number].mask(np.arange(len(rows)) % 5 == 0)}
        ),
        f"{target} wrong": flip,
    }


def plant_images(package: str, target: str, rows: int) -> dict[str, pd.DataFrame]:
    """Name → images that differ from the sample in one thing, and some like it with wrong labels."""
    from importlib import import_module

    synthetic = import_module(f"{package}.synthetic")
    usual = [name for name in synthetic.BACKGROUNDS if name != "tiles"]  # what hold_out keeps from the reference
    changes: dict[str, dict[str, Any]] = {
        "20 % darker": {"darkening": 0.2},
        "50 % darker": {"darkening": 0.5},
        "blur of 1 pixel": {"blur": 1.0},
        "a new background": {"backgrounds": [synthetic.NEW_BACKGROUND]},
        "a new class": {"classes": [synthetic.NEW_CLASS]},
    }
    found = {
        name: synthetic.make(rows, 100, synthetic.World(**{"backgrounds": usual, **change}))
        for name, change in changes.items()
    }
    wrong = synthetic.make(rows, 100, synthetic.World(backgrounds=usual))
    found[f"{target} wrong"] = wrong.assign(**{target: np.roll(wrong[target].to_numpy(), 1)})
    return found


def plant_in_texts(target: str) -> dict[str, Callable[[pd.DataFrame], pd.DataFrame]]:
    """Name → what happens to texts: a new product, lost texts, a wrong encoding, wrong labels."""

    def change(rows: pd.DataFrame, share: int, to: Callable[[str], str]) -> pd.DataFrame:
        """One text of `share` is changed."""
        texts = [to(text) if place % share == 0 else text for place, text in enumerate(rows["text"])]
        return rows.assign(text=texts)

    return {
        "20 % name a new product": lambda rows: change(rows, 5, lambda text: f"{text} Quantix Zeta"),
        "20 % are empty": lambda rows: change(rows, 5, lambda text: ""),
        "all read as Latin-1": lambda rows: change(rows, 1, lambda text: text.encode().decode("latin-1")),
        f"{target} wrong": lambda rows: rows.assign(**{target: rows[target].sample(frac=1, random_state=0).to_numpy()}),
    }


def simulated(settings: Any, seeds: range) -> None:
    """False alarms of the forecasting monitor."""
    from importlib import import_module

    from mlops_runtime import monitoring
    from mlops_runtime.contract import Contract

    model = import_module(f"{settings.project.package}.model")
    scenario = import_module(f"{settings.project.package}.monitor")
    cases = import_module("tests.test_monitor")
    contract = Contract.load(settings.root / "data" / "contract.yml")
    fitted = model.fit(
        cases.plain_series(180), "gradient_boosting", model.family("gradient_boosting").defaults, 14, 0.9
    )
    alarms: Counter[str] = Counter()
    for seed in seeds:
        watched = cases.watch(fitted, settings, contract, cases.new_days(seed))
        judged = monitoring.judge(scenario.measure(watched).signals, settings.monitoring.signals)
        alarms.update([signal.name for signal in judged if signal.status == "fired"] or ["none"])
    wrong = len(seeds) - alarms.pop("none", 0)
    print(f"unchanged, 8 weeks: {wrong} of {len(seeds)} simulations fire {dict(alarms) or ''}", flush=True)


def _is_number(watched: Any, name: str) -> bool:
    return bool(watched.contract.columns[name].type == "number")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the first resample")
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 1000])
    args = parser.parse_args()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.chdir(args.project)
    sys.path.insert(0, str(Path("src").resolve()))

    from importlib import import_module

    from mlops_runtime import config, monitoring, serving, tracking

    settings = config.load()
    if settings.project.task == "forecasting":
        sys.path.insert(0, "")  # where its tests are
        simulated(settings, range(args.seed, args.seed + args.resamples))
        return
    version = serving.choose(settings.project.name)
    folder = tracking.fetch(version)
    model = import_module(f"{settings.project.package}.model").load(tracking.model_data(folder))
    scenario = import_module(f"{settings.project.package}.monitor")
    (new,) = Path("data").glob("*-new.*")
    real = monitoring.watch(settings, version, folder, model, new, None)

    def fired(watched: Any) -> dict[str, str]:
        judged = monitoring.judge(scenario.measure(watched).signals, settings.monitoring.signals)
        found = {signal.name: f"{signal.value:.3g}" for signal in judged if signal.status == "fired"}
        return {**found, "action": monitoring.decide(judged)}

    def predicted(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.drop(columns=real.outputs, errors="ignore").join(
            model.predict(rows[list(model.inputs)]).set_axis(rows.index)
        )

    def draw(seed: int, rows: int) -> Any:
        shuffled = real.reference.sample(frac=1, random_state=seed, ignore_index=True)
        half = len(shuffled) // 2
        current = shuffled[half : half + rows].reset_index(drop=True)
        return dataclasses.replace(real, reference=shuffled[:half], current=current, time=None)

    for rows in args.rows:
        alarms: Counter[str] = Counter()
        for seed in range(args.seed, args.seed + args.resamples):
            alarms.update(fired(draw(seed, rows)).keys() - {"action"} or ["none"])
        wrong = args.resamples - alarms.pop("none", 0)
        print(f"unchanged, {rows} rows: {wrong} of {args.resamples} resamples fire {dict(alarms) or ''}", flush=True)
    for rows in args.rows:
        watched = draw(0, rows)
        if settings.project.task in IMAGES:
            planted = plant_images(settings.project.package, real.model.targets[0], rows)
        else:
            planted = {name: change(watched.current) for name, change in plant(real).items()}
        for name, current in planted.items():
            print(f"{name}, {rows} rows: {fired(dataclasses.replace(watched, current=predicted(current)))}", flush=True)
    print(f"{new.name}, {len(real.current)} rows: {fired(real)}")


if __name__ == "__main__":
    main()

# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A first look at the data
#
# What is there, what is missing, what moves with the target, what changes over the year. Open this file as a notebook
# (Jupyter with jupytext, or VS Code); the tests run it too.

# %%
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from mlops_runtime.config import find_root, load_shared
from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data

root = find_root()
settings = load_shared(root / "config" / "shared.yml")
contract = Contract.load(root / "data" / "contract.yml")
flights = data.load(root / "data" / "flights.parquet", contract)
targets = data.target_names(str(settings.training["target"]), contract)
print(f"{len(flights):,} rows, target {', '.join(targets)}, Python {sys.version.split()[0]}")
flights.head()

# %% [markdown]
# ## What is missing
#
# The contract says which columns may have gaps. Readings that are missing together point to one cause: a weather
# station that was down.

# %%
missing = flights.isna().mean()
missing[missing > 0].sort_values(ascending=False).to_frame("share missing")

# %% [markdown]
# ## The target over the year
#
# Models are tested on later rows than they are trained on. If the target moves over the months, expect the test to be
# harder than a random split would say.

# %%
target = targets[0]
numeric = flights[target] if pd.api.types.is_numeric_dtype(flights[target]) else pd.factorize(flights[target])[0]
times = flights[contract.names("time")[0]]
by_week = pd.Series(numeric).groupby(times.dt.to_period("W").dt.start_time).mean()
figure, axes = plt.subplots(figsize=(9, 3))
axes.plot(by_week.index, by_week)
axes.set(ylabel=f"mean of {target}", title="Week by week")
plt.show()

# %% [markdown]
# ## What moves with the target
#
# Numbers in ten groups of equal size: a slope is something for a model to learn.

# %%
numbers = [name for name in contract.names("feature") if contract.columns[name].type in ("integer", "number")]
columns = 4
figure, grid = plt.subplots(-(-len(numbers) // columns), columns, figsize=(12, 2.4 * -(-len(numbers) // columns)), sharey=True)
for name, axes in zip(numbers, grid.flat, strict=False):
    groups = pd.qcut(flights[name], 10, duplicates="drop")
    means = pd.Series(numeric).groupby(groups, observed=True).mean()
    axes.plot([interval.mid for interval in means.index], means, marker="o")
    axes.set(xlabel=name)
for axes in grid.flat[len(numbers) :]:
    axes.set_axis_off()
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Groups
#
# Where the target differs between groups, look at the same groups in the evaluation report: is the model as good for
# each of them?

# %%
cohorts = settings.gates.cohorts.columns
figure, grid = plt.subplots(1, len(cohorts), figsize=(6 * len(cohorts), 3), squeeze=False)
for name, axes in zip(cohorts, grid[0], strict=True):
    pd.Series(numeric).groupby(flights[name]).mean().sort_values().plot.barh(ax=axes)
    axes.set(title=f"mean of {target} by {name}", ylabel="")
figure.tight_layout()
plt.show()

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
# # What is in the flights
#
# Open this file as a notebook (VS Code and Jupyter with jupytext do), or run it as a script. It looks only at the rows
# that the model will be trained on: whoever has seen the test rows chooses features that suit them.

# %%
import numpy as np
import pandas as pd
from matplotlib import pyplot

from mlops_runtime import config
from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data

root = config.find_root()
contract = Contract.load(root / "data" / "contract.yml")
everything = data.load(root / "data" / "flights.parquet", contract)
test_fraction = float(config.load(root=root).training["test_fraction"])
flights, _ = data.split(everything, data.time_column(contract), test_fraction)

departure = flights["scheduled_departure"]
weather = contract.names("feature")[-8:]
print(f"{len(flights):,} of {len(everything):,} flights, {departure.min():%d %B} to {departure.max():%d %B %Y}")

# %% [markdown]
# ## Columns
#
# The contract has already been checked: types, ranges, no unexpected nulls. What remains to be seen is how the values
# are spread and how much is missing.

# %%
summary = flights.describe(include="all").T[["count", "unique", "top", "mean", "min", "50%", "max"]]
summary.insert(0, "missing", flights.isna().mean().round(3))
print(summary.to_string(max_colwidth=20, float_format="{:.4g}".format))

# %% [markdown]
# ## What is missing, and when
#
# Pressure lacks one value in ten. If values were missing because of what we want to predict, imputing them would hide
# a signal: compare how often flights are late with and without them.

# %%
gaps = pd.DataFrame(
    {
        "missing": flights[weather].isna().mean(),
        "late if missing": [flights.loc[flights[c].isna(), "arrival_late"].mean() for c in weather],
        "late if known": [flights.loc[flights[c].notna(), "arrival_late"].mean() for c in weather],
    }
)
print(gaps.round(3).to_string())

by_week = flights[weather].isna().groupby(departure.dt.isocalendar().week.to_numpy()).mean()
figure, axes = pyplot.subplots(figsize=(9, 3))
image = axes.imshow(by_week.T, aspect="auto", cmap="Blues", vmin=0, vmax=0.5)
axes.set_yticks(range(len(weather)), weather)
axes.set(xlabel="week of 2013", title="Share of missing values")
figure.colorbar(image)
pyplot.show()

# %% [markdown]
# Pressure is missing far more often when flights are late, because the instruments report least in bad weather. The
# median as a stand-in would throw that away: `Features` adds a column that says "was missing" for linear models, and
# leaves the gaps as they are for trees.

# %% [markdown]
# ## The targets
#
# Late flights are a quarter of all, and how many differs from day to day more than chance would have it: a few days of
# bad weather make many late flights together. So rows of the same day are not independent, and a random split would
# put some of each storm into training and test alike. This is why the split and the cross-validation follow time.

# %%
targets = contract.names("target")
print(flights["arrival_delay_class"].value_counts(normalize=True).round(3).to_string())

daily = flights.groupby(departure.dt.normalize())["arrival_late"].agg(["mean", "size"])
chance = np.sqrt(daily["mean"].mean() * (1 - daily["mean"].mean()) / daily["size"].mean())
print(f"standard deviation of the daily share: {daily['mean'].std():.3f}, by chance alone {chance:.3f}")

figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 3.5), width_ratios=[2, 1])
left.plot(daily.index, daily["mean"], color="#9bb4cc", linewidth=1)
left.plot(daily.index, daily["mean"].rolling(7, center=True).mean(), color="#1f4e79")
left.set(title="Share of flights 15 minutes late or more: day, week", ylim=(0, 1))
right.hist(flights["air_time"], bins=60, color="#4878a8")
right.set(title="Air time, minutes")
pyplot.show()

# %% [markdown]
# ## When and where
#
# Delays pile up during the day: a flight at 20:00 is several times as likely to be late as one at 6:00. Shown with
# 95 % intervals; groups with fewer than 50 flights are left out.


# %%
def late_share(groups: pd.Series) -> pd.DataFrame:
    """Share of late flights per group with its 95 % interval (Wilson)."""
    counts = flights.groupby(groups, observed=True)["arrival_late"].agg(["mean", "size"])
    p, n, z = counts["mean"], counts["size"], 1.96
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return pd.DataFrame({"share": p, "low": center - half, "high": center + half})[n >= 50]


figure, all_axes = pyplot.subplots(2, 2, figsize=(12, 7))
views = {
    "hour of departure": departure.dt.hour,
    "weekday (0 is Monday)": departure.dt.dayofweek,
    "airline": flights["carrier"],
    "airport": flights["origin"],
}
for axes, (title, groups) in zip(all_axes.flat, views.items(), strict=True):
    shares = late_share(groups)
    spread = [shares["share"] - shares["low"], shares["high"] - shares["share"]]
    axes.errorbar(shares.index.astype(str), shares["share"], spread, fmt="o", color="#1f4e79", ecolor="#9bb4cc")
    axes.axhline(flights["arrival_late"].mean(), color="grey", linestyle="--", linewidth=1)
    axes.set(title=f"Late, by {title}", ylim=(0, 0.6))
figure.tight_layout()
pyplot.show()

# %% [markdown]
# ## Weather
#
# Each weather column cut into ten groups of equal width, with the 95 % interval. Curves bend (humidity, dew point), so
# a linear model needs the squares and products of the family `polynomial`; trees find the bends themselves.

# %%
figure, all_axes = pyplot.subplots(2, 4, figsize=(14, 6), sharey=True)
for axes, name in zip(all_axes.flat, weather, strict=True):
    shares = late_share(pd.cut(flights[name], 10))
    middle = [interval.mid for interval in shares.index]
    axes.fill_between(middle, shares["low"], shares["high"], color="#9bb4cc")
    axes.plot(middle, shares["share"], "o-", color="#1f4e79")
    axes.set(title=name, ylim=(0, 0.8))
figure.tight_layout()
pyplot.show()

# %% [markdown]
# ## Air time
#
# Distance explains nearly all of it. What is left depends on the direction of flight and the season: westward flights
# meet the jet stream, which is strongest in winter. July has but three days here.

# %%
slope, constant = np.polyfit(flights["distance"], flights["air_time"], 1)
left_over = flights["air_time"] - (slope * flights["distance"] + constant)
print(f"air time is about {constant:.0f} min + {slope:.3f} min/mile x distance, give or take {left_over.std():.0f} min")

figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 3.5))
left.hexbin(flights["distance"], flights["air_time"], gridsize=50, bins="log", mincnt=1, cmap="Blues")
left.set(xlabel="distance, miles", ylabel="air time, minutes")
far = flights["distance"] > 2000
by_month = left_over[far].groupby(departure[far].dt.month)
right.errorbar(by_month.mean().index, by_month.mean(), 1.96 * by_month.sem(), fmt="o-", color="#1f4e79")
right.axhline(0, color="grey", linestyle="--", linewidth=1)
right.set(xlabel="month", title="Minutes more than distance explains, flights over 2,000 miles")
pyplot.show()

# %% [markdown]
# ## What must not be an input
#
# Whether a flight left late says most of whether it arrives late, but nobody knows it beforehand. Targets are never
# inputs here; the contract's roles see to it.

# %%
print(pd.crosstab(flights["departure_late"], flights["arrival_late"], normalize="index").round(3).to_string())

# %% [markdown]
# ## What follows
#
# - Split by time; never shuffle.
# - Keep missing values visible to models that can use them.
# - The hour of departure, the airline and the weather matter most for delays, distance for air time.
# - The share of late flights moves with the weather and the season: expect drift in production.

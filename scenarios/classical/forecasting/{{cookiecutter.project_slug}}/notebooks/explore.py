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
# # What is in the departures
#
# Open this file as a notebook (VS Code and Jupyter with jupytext do), or run it as a script. It looks only at the days
# that the model will be trained on: whoever has seen the test days chooses features that suit them.

# %%
import numpy as np
import pandas as pd
from matplotlib import pyplot

from mlops_runtime import config
from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data, features
from {{ cookiecutter.package_name }}.data import WEEK

root = config.find_root()
settings = config.load(root=root).training
contract = Contract.load(root / "data" / "contract.yml")
everything = data.load(root / "data" / "departures.parquet", contract)
train, _ = data.split(everything, float(settings["test_fraction"]), int(settings["horizon"]))
series = data.to_series(train)
days = pd.DatetimeIndex(series.index)
print(f"{len(series)} of {everything['date'].nunique()} days, {days[0]:%d %B} to {days[-1]:%d %B %Y}")
print(series.describe().round(1).to_string())

# %% [markdown]
# ## The level and the storms
#
# The level rises until April and changes little after. Single days fall far out: 8 and 9 February (a blizzard), 6 to 8
# March. No feature knows the weather, so such days must not pull the forecasts of the weeks after them.

# %%
figure, panels = pyplot.subplots(series.shape[1], 1, figsize=(9, 6), sharex=True)
for axes, name in zip(panels, series, strict=True):
    axes.plot(days, series[name], color="#9bb4cc", linewidth=1)
    axes.plot(days, series[name].rolling(WEEK).median(), color="#1f4e79")
    axes.set(title=name, ylabel="departures")
pyplot.show()

# %% [markdown]
# ## The week
#
# Saturdays have a third fewer departures at LaGuardia and hardly fewer at JFK: the airports need a week of their own.

# %%
by_weekday = series.groupby(days.dayofweek).median()
by_weekday.index = pd.Index(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], name="weekday")
print(by_weekday.to_string())

# %% [markdown]
# ## How far back to look
#
# The correlation of what the weekday does not explain with what it was some days before. It falls quickly: what
# yesterday says about today it does not say about next week. So the median of the same weekday in recent weeks is the
# base that models correct, rather than the last value.

# %%
rest = series - series.groupby(days.dayofweek).transform("median")
lags = range(1, 29)
correlation = pd.DataFrame({name: [rest[name].autocorr(lag) for lag in lags] for name in rest}, index=list(lags))
axes = correlation.plot(figsize=(9, 3), marker=".")
axes.axhline(0, color="grey", linewidth=1)
axes.set(xlabel="days before", ylabel="correlation")
pyplot.show()

# %% [markdown]
# ## Simple forecasts to beat
#
# The error of repeating one week, and of the median of the last four.

# %%
last = series.diff(WEEK).abs()
before = [series.shift(WEEK * week).iloc[4 * WEEK :] for week in range(1, 5)]
median = (series.iloc[4 * WEEK :] - np.median(before, axis=0)).abs()
errors = {"last week": last.iloc[4 * WEEK :].mean(), "median of four": median.mean()}
print(pd.DataFrame(errors).round(1).to_string())

# %% [markdown]
# ## Holidays
#
# How far days around public holidays are from the typical one, in departures: the day itself has fewer, and the
# neighbours depend on the weekday. There are only five holidays here: enough for a hint, not for a rule.
# The row 4 stands for all days that are near none.

# %%
near = features.days_from_holiday(days)
distance = (series - series.rolling(8 * WEEK, center=True, min_periods=WEEK).median()).mean(axis=1)
weekday_free = distance - distance.groupby(days.dayofweek).transform("median")
print(weekday_free.groupby(near).agg(["mean", "count"]).round(1).rename_axis("days from holiday").to_string())

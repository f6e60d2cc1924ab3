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
# # What is on the images
#
# Open this file as a notebook (VS Code and Jupyter with jupytext do), or run it as a script. It looks only at the
# images that the model will be trained on: whoever has seen the test images makes choices that suit them.

# %%
import numpy as np
import pandas as pd
from matplotlib import pyplot

from mlops_runtime import config
from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data, images, masks
from {{ cookiecutter.package_name }}.prepare import prepare

root = config.find_root()
contract = Contract.load(root / "data" / "contract.yml")
training = config.load(root=root).training
table, *_ = prepare(root / "data" / "images", contract, float(training["test_fraction"]), str(training["hold_out"]))
everything = data.load(root / "data" / "images", contract).set_index("image_id")
frame = table.frame.assign(annotations=everything.loc[table.frame["image_id"], "annotations"].to_numpy())
pixels = table.pixels(int(training["image_size"]))
print(f"{len(frame):,} images of {pixels.shape[1]} × {pixels.shape[2]} pixels to learn from")

# %% [markdown]
# ## What they look like
#
# Some of each class. Would a person always know which it is? Where not, no model will, and the labels may be wrong.

# %%
classes = data.classes(contract)
figure, all_axes = pyplot.subplots(len(classes), 10, figsize=(10, 1.1 * len(classes)))
for row, name in enumerate(classes):
    for axes, number in zip(all_axes[row], np.flatnonzero(frame["label"] == name), strict=False):
        axes.imshow(pixels[number])
        axes.axis("off")
    all_axes[row][0].set_title(name, loc="left", fontsize=9)
figure.tight_layout()
pyplot.show()

# %% [markdown]
# ## How many of each, and under which conditions
#
# A class that is rare, or that always comes with the same background, is learnt by its background.

# %%
print(pd.crosstab(frame["label"], frame["background"], margins=True).to_string())

# %% [markdown]
# ## Light, contrast, sharpness
#
# The same statistics are watched in production: what lies outside of these spreads is unlike anything learnt from.

# %%
statistics = pd.DataFrame(images.statistics(pixels))
print(statistics.describe().loc[["mean", "std", "min", "max"]].round(3).to_string())

figure, all_axes = pyplot.subplots(1, len(images.STATISTICS), figsize=(13, 2.6))
for axes, name in zip(all_axes, images.STATISTICS, strict=True):
    axes.hist(statistics[name], bins=40, color="#4878a8")
    axes.set_title(name)
figure.tight_layout()
pyplot.show()

# %% [markdown]
# ## Where the things are
#
# The mean of all masks: if things are always in the middle, the model will not find them at the edge. Their sizes: what
# is only a few pixels wide is lost when images are made smaller.

# %%
regions = [region for text in frame["annotations"].dropna() for region in masks.load(text)]
sizes = pd.Series([100 * region.mask.mean() for region in regions])
print(f"{len(regions):,} regions cover {sizes.quantile(0.05):.0f} % to {sizes.quantile(0.95):.0f} % of their image")

figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3))
left.imshow(np.mean([region.mask for region in regions], axis=0), cmap="Blues")
left.set_title("share of images with something there")
right.hist(sizes, bins=40, color="#4878a8")
right.set_title("share of the image that is covered, %")
pyplot.show()

# %% [markdown]
# ## What follows
#
# - Position, turn and colour say nothing about the class: turning and mirroring the images makes more of them.
# - Light and contrast vary: change them in training too, and watch them in production.
# - One background is kept from training, because new ones will come.

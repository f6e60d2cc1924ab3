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
# # What is in the tickets
#
# Open this file as a notebook (VS Code and Jupyter with jupytext do), or run it as a script. It looks only at the rows
# that the model will be trained on: whoever has seen the test rows chooses features that suit them.

# %%
from collections import Counter

import numpy as np
import pandas as pd
from matplotlib import pyplot

from mlops_runtime import config
from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data, tables
from {{ cookiecutter.package_name }}.features import Features
from {{ cookiecutter.package_name }}.prepare import cleaned
from {{ cookiecutter.package_name }}.text import mask, normalize, sentences, words

root = config.find_root()
contract = Contract.load(root / "data" / "contract.yml")
everything = data.load(root / "data" / "tickets.jsonl", contract)
test_fraction = float(config.load(root=root).training["test_fraction"])
raw, _ = tables.split(everything, tables.time_column(contract), test_fraction)
tickets = cleaned(raw, contract)
first, last = raw["created"].min(), raw["created"].max()
print(f"{len(tickets):,} of {len(everything):,} tickets, {first:%d %B} to {last:%d %B %Y}")

# %% [markdown]
# ## Read some
#
# No figure replaces reading. What is the matter, what is a courtesy, what is somebody's private data?

# %%
for text in raw["text"].sample(8, random_state=1):
    print("-", text)

# %% [markdown]
# ## From raw to clean
#
# Normalization makes one way of writing out of many; masking takes out what is nobody's business.

# %%
example = raw.loc[raw["text"].str.contains("@"), "text"].iloc[0]
for step in (example, normalize(example), mask(normalize(example))):
    print(step)
print([sentence.text for sentence in sentences(tickets["text"].iloc[0])])
masked = {name: int(tickets["text"].str.contains(name).sum()) for name in ("<email>", "<phone>", "<url>", "<iban>")}
print("texts with", masked)

# %% [markdown]
# ## How long, in which language, about what
#
# Languages are unequally frequent: whoever looks only at the average overlooks the rare ones.

# %%
lengths = tickets["text"].str.len()
figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(13, 3.2))
left.hist(lengths, bins=40, color="#4878a8")
left.set(title="Characters of a ticket")
tickets["language"].value_counts().plot.bar(ax=middle, color="#4878a8", title="Language", xlabel="")
tickets["intent"].value_counts().plot.bar(ax=right, color="#4878a8", title="Intent", xlabel="")
figure.tight_layout()
pyplot.show()
print(pd.crosstab(tickets["language"], tickets["intent"], normalize="index").round(2).to_string())

# %% [markdown]
# ## Words
#
# Few words are frequent and most are rare. The rare ones are names, numbers and typing errors: pieces of words survive
# those, so the model counts them too.

# %%
counts = Counter(word for text in tickets["text"] for word in words(text))
frequencies = np.array(sorted(counts.values(), reverse=True))
print(f"{len(counts):,} words, {(frequencies == 1).mean():.0%} appear once; most frequent: {counts.most_common(8)}")
figure, axes = pyplot.subplots(figsize=(6, 3.2))
axes.loglog(np.arange(1, len(frequencies) + 1), frequencies, color="#1f4e79")
axes.set(xlabel="rank of the word", ylabel="how often it appears")
pyplot.show()

# %% [markdown]
# ## Which words tell the intent
#
# For each intent the words whose share of texts is highest above that in all others.

# %%
sets = [set(words(text)) for text in tickets["text"]]
frequent = [word for word, count in counts.items() if count >= 20]
presence = pd.DataFrame({word: [word in found for found in sets] for word in frequent})
for intent, rows in presence.groupby(tickets["intent"].to_numpy()):
    lead = (rows.mean() - presence.drop(rows.index).mean()).nlargest(8)
    print(f"{intent}: {', '.join(lead.index)}")

# %% [markdown]
# ## Embeddings
#
# Latent semantic analysis puts texts with like words near each other. The first directions separate languages, which
# says that a model has to learn each intent once for each language.

# %%
points = Features.fit(tickets["text"].tolist(), seed=0).embed(tickets["text"].tolist())
center = points - points.mean(axis=0)
plane = center @ np.linalg.svd(center, full_matrices=False)[2][:2].T
figure, both = pyplot.subplots(1, 2, figsize=(12, 4.5))
for axes, column in zip(both, ("language", "intent"), strict=True):
    for value, rows in tickets.groupby(column).indices.items():
        axes.scatter(*plane[rows].T, s=5, alpha=0.6, label=value)
    axes.set(title=f"Embeddings by {column}", xticks=[], yticks=[])
    axes.legend(markerscale=3)
pyplot.show()

# %% [markdown]
# ## Doubtful labels
#
# Texts whose nearest neighbours, nearly the same text, have another intent: is the label wrong?

# %%
nearness = points @ points.T
np.fill_diagonal(nearness, -1)
neighbours = np.argsort(-nearness, axis=1)[:, :5]
intents = tickets["intent"].to_numpy()
alone = (intents[neighbours] == intents[:, None]).mean(axis=1) == 0
print(f"{alone.mean():.1%} of the tickets are alone with their intent among their neighbours, for example:")
for row in np.flatnonzero(alone)[:5]:
    print(f"  {intents[row]}? {tickets['text'].iloc[row]}")

# %% [markdown]
# ## What follows
#
# - Count pieces of words beside words: they carry over typing errors.
# - Watch each language for itself.
# - A share of the labels is wrong; a model that reaches 100 % would have learnt the mistakes.
# - The wordings repeat: only the hard texts show what happens with sentences that nobody used before.

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
# # What is in the tickets, and what people made of them
#
# Open this file as a notebook (VS Code and Jupyter with jupytext do), or run it as a script. It looks only at the rows
# that the model will be trained on: whoever has seen the test rows chooses settings that suit them.

# %%
from collections import Counter

import numpy as np
import pandas as pd
from matplotlib import pyplot

from mlops_runtime import config
from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data, tables
from {{ cookiecutter.package_name }}.metrics import rouge_l
from {{ cookiecutter.package_name }}.prepare import cleaned
from {{ cookiecutter.package_name }}.text import sentences
from {{ cookiecutter.package_name }}.vocabulary import Vocabulary, numbers, split

root = config.find_root()
settings = config.load(root=root).training
target = str(settings["target"])
contract = tables.for_target(Contract.load(root / "data" / "contract.yml"), target)
everything = data.load(root / "data" / "tickets.jsonl", contract).dropna(subset=[target])
raw, _ = tables.split(everything, tables.time_column(contract), float(settings["test_fraction"]))
tickets = cleaned(raw, contract)
first, last = raw["created"].min(), raw["created"].max()
print(f"{len(tickets):,} of {len(everything):,} tickets with a {target}, {first:%d %B} to {last:%d %B %Y}")

# %% [markdown]
# ## Read some
#
# No figure replaces reading. What of the text is in the target, what was left out, what was added?

# %%
for row in tickets.sample(6, random_state=1).to_dict(orient="records"):
    print(f"- {row['text']}\n  → {row[target]}")

# %% [markdown]
# ## How long
#
# The longest targets say what `max_new_tokens` has to be, the longest texts whether all of them is read.

# %%
lengths = pd.DataFrame({name: [len(split(text)) for text in tickets[name]] for name in ("text", target)})
figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.2))
lengths["text"].plot.hist(ax=left, bins=40, color="#4878a8", title="Words of a text")
lengths[target].plot.hist(ax=right, bins=40, color="#4878a8", title=f"Words of a {target}")
figure.tight_layout()
pyplot.show()
print(lengths.describe(percentiles=[0.5, 0.99]).round(1).to_string())
print(tickets["language"].value_counts().to_string())

# %% [markdown]
# ## How much is copied
#
# A word of the target that its text has can be copied; one that no text has must be learnt. Numbers that the text
# lacks cannot be answered at all: are those targets right?

# %%
copied, lacking = [], []
for text, written in zip(tickets["text"], tickets[target], strict=True):
    known, words = set(split(text)), split(written)
    copied.append(np.mean([word in known for word in words]))
    lacking += [] if numbers(written) <= numbers(text) else [(text, written)]
figure, axes = pyplot.subplots(figsize=(6, 3.2))
axes.hist(copied, bins=20, color="#4878a8")
axes.set(xlabel=f"share of the words of a {target} that its text has", ylabel="tickets")
pyplot.show()
print(f"{len(lacking)} targets have a number that their text lacks")

# %% [markdown]
# ## Words
#
# The vocabulary has the words that are frequent enough to be learnt. All others are read by their shape, and copied.

# %%
vocabulary = Vocabulary.train(tickets["text"].tolist(), tickets[target].tolist())
counts = Counter(word for text in tickets["text"] for word in split(text))
known_words = set(vocabulary.words)
share = sum(count for word, count in counts.items() if word in known_words) / counts.total()
print(f"{vocabulary.size:,} words cover {share:.1%} of what is written, {len(vocabulary.shapes)} shapes the rest")
print("often copied:", ", ".join(sorted(word.strip() for word in vocabulary.names)[:40]))

# %% [markdown]
# ## The simplest answer
#
# A model has to be better than the first sentence of the text.

# %%
leads = [sentences(text)[0].text for text in tickets["text"]]
scores = [rouge_l(said, written) for said, written in zip(leads, tickets[target], strict=True)]
print(f"ROUGE-L of the first sentence: {np.mean(scores):.3f}")

# %% [markdown]
# ## What follows
#
# - Names and numbers come from the text: let the model copy them, and count how many are right.
# - Watch each language for itself.
# - A share of the targets is wrong; a model that reaches 100 % would have learnt the mistakes.
# - The wordings repeat: only the hard texts show what happens with sentences that nobody used before.

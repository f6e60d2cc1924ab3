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
from collections import Counter, defaultdict

import pandas as pd
from matplotlib import pyplot

from mlops_runtime import config
from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data, spans, tables
from {{ cookiecutter.package_name }}.prepare import cleaned
from {{ cookiecutter.package_name }}.text import mask, normalize, sentences, tokens

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
# No figure replaces reading. What is labelled, what is overlooked?

# %%
some = tickets.sample(6, random_state=1)
for text, found in zip(some["text"], data.readable(some["text"].tolist(), some["entities"].tolist()), strict=True):
    print(f"- {text}\n  {found}")

# %% [markdown]
# ## From raw to clean
#
# Normalization makes one way of writing out of many; masking takes out what is nobody's business; the spans move along.

# %%
example = raw[raw["text"].str.contains("@")].iloc[0]
for step in (example["text"], normalize(example["text"]), mask(normalize(example["text"]))):
    print(step)
print([token.text for token in tokens(tickets["text"].iloc[0])])

# %% [markdown]
# ## How long, in which language
#
# Languages are unequally frequent: whoever looks only at the average overlooks the rare ones.

# %%
figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 3.2))
left.hist([len(tokens(text)) for text in tickets["text"]], bins=40, color="#4878a8")
left.set(title="Tokens of a ticket")
tickets["language"].value_counts().plot.bar(ax=right, color="#4878a8", title="Language", xlabel="")
figure.tight_layout()
pyplot.show()

# %% [markdown]
# ## Which labels, how often, how long
#
# Rare labels need more examples than frequent ones; long spans are cut more often.

# %%
rows = [
    {"language": language, "label": span.label, "piece": text[span.start : span.end], "rest": text[: span.start]}
    for text, language, value in zip(tickets["text"], tickets["language"], tickets["entities"], strict=True)
    for span in spans.read(value)
]
entities = pd.DataFrame(rows)
entities["words"] = [len(tokens(piece)) for piece in entities["piece"]]
figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 3.2))
entities["label"].value_counts().plot.bar(ax=left, color="#4878a8", title="Spans", xlabel="")
entities.groupby("label")["words"].mean().plot.bar(ax=right, color="#4878a8", title="Tokens of a span", xlabel="")
figure.tight_layout()
pyplot.show()

# %% [markdown]
# ## How many different ones
#
# A label with few different pieces can be looked up; one with many must be told by what is around it.

# %%
print(entities.groupby("label")["piece"].agg(["count", "nunique"]).assign(new=lambda t: t["nunique"] / t["count"]))
before: dict[str, Counter[str]] = defaultdict(Counter)
for label, rest in zip(entities["label"], entities["rest"], strict=True):
    words = tokens(rest)
    before[label][words[-1].text.lower() if words else "(start)"] += 1
for label, counts in before.items():
    print(f"before {label}: {', '.join(word for word, _ in counts.most_common(8))}")

# %% [markdown]
# ## Words with more than one part of speech

# %%
tags: dict[str, Counter[str]] = defaultdict(Counter)
for text, value in zip(tickets["text"], tickets["part_of_speech"], strict=True):
    for span in spans.read(value):
        tags[text[span.start : span.end].lower()][span.label] += 1
unclear = {word: counts for word, counts in tags.items() if len(counts) > 1}
for word in sorted(unclear, key=lambda word: -sum(unclear[word].values()))[:10]:
    print(word, dict(unclear[word]))

# %% [markdown]
# ## Sentences
#
# The rules of `text.sentences` against the truth: greetings end with a comma, dates with a full stop.

# %%
agree = [
    [(one.start, one.end) for one in sentences(text)] == [(one.start, one.end) for one in spans.read(value)]
    for text, value in zip(tickets["text"], tickets["sentences"], strict=True)
]
print(f"the rules split {sum(agree) / len(agree):.0%} of the texts as people do")

# %% [markdown]
# ## Doubtful labels
#
# The same piece with different labels: is one of them wrong?

# %%
both = entities.groupby("piece")["label"].agg(lambda labels: dict(Counter(labels)))
for piece, counts in list(both[both.map(len) > 1].items())[:8]:
    print(piece, counts)

# %% [markdown]
# ## What follows
#
# - Products and cities can be looked up until new ones come: watch the vocabulary.
# - Order numbers, dates and amounts have shapes; letters and digits must stay as they are written.
# - A share of the labels is wrong; a model that reaches 100 % would have learnt the mistakes.
# - Names are rare and come from few groups: see how names of other groups fare in the report.

"""What needs no model: answers that a generator must beat."""

from collections import Counter

from {{ cookiecutter.package_name }}.tables import Table
from {{ cookiecutter.package_name }}.text import sentences, words

Pairs = list[tuple[list[str], str]]  # sources, the text last, and targets


def lead(train: Pairs, sources: list[list[str]]) -> list[str]:
    """The first sentence of the text, the usual baseline of summarization."""
    return [sentences(source[-1])[0].text for source in sources]


def likest(train: Pairs, sources: list[list[str]]) -> list[str]:
    """The sentence of the text that has most words of the question, the first one of several."""
    found = []
    for question, text in sources:
        asked = set(words(question))
        found.append(max((one.text for one in sentences(text)), key=lambda one: len(asked & set(words(one)))))
    return found


def copy(train: Pairs, sources: list[list[str]]) -> list[str]:
    """The text as it is."""
    return [source[-1] for source in sources]


def dictionary(train: Pairs, sources: list[list[str]]) -> list[str]:
    """Word by word what each word goes with best (Dice's coefficient); a word that the training had not stays."""
    read: Counter[str] = Counter()
    written: Counter[str] = Counter()
    both: Counter[tuple[str, str]] = Counter()
    for source, target in train:
        old, new = set(source[-1].split()), set(target.split())
        read.update(old)
        written.update(new)
        both.update((one, other) for one in old for other in new)
    best: dict[str, tuple[float, str]] = {}
    for (one, other), count in both.items():
        best[one] = max(best.get(one, (0.0, "")), (2 * count / (read[one] + written[other]), other))
    return [" ".join(best.get(word, (0.0, word))[1] for word in source[-1].split()) for source in sources]


def pairs(table: Table, names: list[str]) -> Pairs:
    """The rows of a table: what is read, by column, and the target."""
    sources = table.frame[names].astype(str).to_numpy().tolist()
    return list(zip(sources, table.targets.iloc[:, 0].astype(str), strict=True))

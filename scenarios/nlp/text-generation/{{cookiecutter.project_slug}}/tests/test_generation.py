"""Words, search and metrics, against cases computed by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from {{ cookiecutter.package_name }} import metrics, nearest
from {{ cookiecutter.package_name }}.search import NEVER, Array, Options, Step, repeated, search
from {{ cookiecutter.package_name }}.vocabulary import Vocabulary, join, shape, split

TEXTS = ["Order B-1 of Anna costs 5.20 €.", "Order B-2 of Anna costs 7 €.", "Order X-9 of Anna is late, Anna."]
TARGETS = ["Anna pays 5.20 €.", "Anna pays 7 €.", "Anna waits."]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Order B-32388, 5.20 €!", [" Order", " B-32388", ",", " 5.20", " €", "!"]),
        ("on 5.7.  l'app <email>", [" on", " 5.7", ".", " l'app", " <email>"]),
        ("€9 (x)", [" €", "9", " (", "x", ")"]),
    ],
)
def test_split(text: str, words: list[str]) -> None:
    assert split(text) == words


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_split_loses_nothing(text: str) -> None:
    assert join(split(text)) == " ".join(text.split())
    assert max(map(len, split(text)), default=0) <= 200


@pytest.mark.parametrize(("word", "expected"), [(" B-32388", " X-0"), ("342.48", "0.0"), ("Zoë", "Xx"), ("USB", "X")])
def test_shape(word: str, expected: str) -> None:
    assert shape(word) == expected


def test_numbers_are_only_copied() -> None:
    vocabulary = Vocabulary.train(TEXTS * 3, TARGETS * 3)
    assert not [word for word in vocabulary.words if any(letter.isdigit() for letter in word)]
    assert " Anna" in vocabulary.names
    source = vocabulary.read(["Order C-77 of Zoë costs 9.10 €."], 50)
    written, read = vocabulary.write("Zoë pays 9.10 €.", source, 50)
    assert vocabulary.text(written[:-1], source) == "Zoë pays 9.10 €."
    assert [number >= vocabulary.size for number in written] == [True, False, True, False, False, False]
    assert read[1:] == [vocabulary.again(number, source) for number in written[:-1]]


def test_hidden_words_are_unknown_but_can_be_copied() -> None:
    vocabulary = Vocabulary.train(TEXTS * 3, TARGETS * 3)
    source = vocabulary.read(["Order of Anna"], 50, frozenset({" Anna"}))
    assert source.extra == [" Anna"]
    assert vocabulary.write("Anna", source, 50)[0][0] == vocabulary.size


def test_long_sources_are_cut_at_the_end() -> None:
    vocabulary = Vocabulary.train(TEXTS * 3, TARGETS * 3)
    source = vocabulary.read(["Which order?", "Order " * 500], 20)
    assert len(source.ids) == 20
    assert source.ids[:4] == vocabulary.read(["Which order?", "x"], 20).ids[:4]


A, B, C, END = range(4)


def fixed(table: dict[tuple[int, ...], list[float]]) -> Step:
    """A step whose probabilities of A, B, C and the end depend on the words so far."""
    lines: list[tuple[int, ...]] = []

    def step(last: Array, parents: Array) -> Array:
        nonlocal lines
        lines = (
            [(*lines[parent], int(word)) for parent, word in zip(parents, last, strict=True)]
            if lines
            else [()] * len(last)
        )
        return np.log(np.maximum([table.get(line, [0.1, 0.1, 0.1, 0.7]) for line in lines], 1e-30))

    return step


# The likeliest first word leads to an unlikely answer: A alone has probability 0.6 · 0.3, B alone 0.4 · 0.9.
TRAP = {(): [0.6, 0.4, 0.0, 0.0], (A,): [0.25, 0.25, 0.2, 0.3], (B,): [0.04, 0.03, 0.03, 0.9]}


def test_greedy_takes_the_likeliest_word_and_beams_the_likeliest_answer() -> None:
    greedy = search(fixed(TRAP), 1, 9, END, Options(length_penalty=0))[0]
    assert greedy.words == [A]
    assert greedy.mean == pytest.approx(np.log(0.6 * 0.3) / 2)
    beams = search(fixed(TRAP), 1, 9, END, Options(beams=2, length_penalty=0))[0]
    assert beams.words == [B]
    assert beams.mean == pytest.approx(np.log(0.4 * 0.9) / 2)


def test_the_length_penalty_favours_longer_answers() -> None:
    table = {(): [0.5, 0.0, 0.0, 0.5], (A,): [0.0, 1.0, 0.0, 0.0], (A, B): [0.0, 0.0, 0.2, 0.8]}
    short, long = (search(fixed(table), 1, 9, END, Options(beams=2, length_penalty=penalty))[0] for penalty in (0, 2))
    assert (short.words, long.words) == ([], [A, B])


def test_an_answer_ends_in_time() -> None:
    never = {line: [1.0, 0.0, 0.0, 0.0] for line in [(), (A,), (A, A), (A, A, A)]}
    for beams in (1, 3):
        found = search(fixed(never), 2, 9, END, Options(max_new_tokens=3, beams=beams, no_repeat=0))
        assert [one.words for one in found] == [[A, A, A]] * 2


def test_runs_are_not_repeated() -> None:
    assert repeated([A, B, C, A, B], 3) == [C]
    assert repeated([A, B], 3) == []
    assert repeated([A, B, A], 1) == [A, B, A]
    again = {(): [0.9, 0.1, 0.0, 0.0], (A,): [0.9, 0.1, 0.0, 0.0], (A, B): [0.0, 0.0, 0.0, 1.0]}
    assert search(fixed(again), 1, 9, END, Options(no_repeat=1))[0].words == [A, B]


def test_a_search_without_any_way_out_is_empty() -> None:
    found = search(lambda last, parents: np.full((len(last), 4), NEVER), 1, 9, END, Options())
    assert found[0].words == []


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("the cat sat", "the cat sat", 1.0),
        ("the cat sat", "The cat SAT.", 1.0),
        ("the cat sat on the mat", "the cat lay on a mat", 2 * (4 / 6) * (4 / 6) / (4 / 6 + 4 / 6)),
        ("police killed the gunman", "police kill the gunman", 0.75),  # both from Lin 2004, section 3.2
        ("police killed the gunman", "the gunman kill police", 0.5),
        ("a b", "b a c d", 2 * 0.5 * 0.25 / 0.75),
        ("", "", 1.0),
        ("", "a", 0.0),
        ("!", "a", 0.0),
    ],
)
def test_rouge_l(answer: str, reference: str, expected: float) -> None:
    assert metrics.rouge_l(answer, reference) == pytest.approx(expected)


def test_metrics_by_hand() -> None:
    truth = pd.DataFrame({"summary": ["Order B-1, 5.20 €.", "Order B-2.", "Late.", "Order B-3, B-3."]})
    answers = ["Order B-1, 7.00 €.", "Order B-2.", "Broken 5.", "Order  B-3, B-4."]
    prediction = pd.DataFrame({"prediction": answers, "confidence": [0.5, 1.0, 0.0, 0.5]})
    found = metrics.outcome(truth, prediction)
    values = {name: metric(found) for name, metric in metrics.METRICS.items()}
    assert values["exact_match"] == 1 / 4
    assert values["numbers_right"] == pytest.approx(3 / 6)  # B-1, B-2 and one B-3 of 6 that were said
    assert values["numbers_found"] == pytest.approx(3 / 5)
    assert metrics.METRICS["numbers_right"](found.take(np.array([], dtype=int))) == 1.0
    table = metrics.breakdown(found)
    assert table.set_index("texts").loc["without numbers", "rows"] == 1
    assert metrics.loss(truth, prediction)[1] == 0


@pytest.mark.parametrize(
    ("answer", "old", "new", "expected"),
    [
        ("Late: B-1.", "Where is order B-1 now?", "Where is order C-2 now?", "Late: C-2."),
        ("Late: Aero 3.", "My Aero 3 is late", "My BrewMax is late", "Late: BrewMax."),
        ("Late.", "Where is order B-1?", "Where is order C-2?", "Late."),
    ],
)
def test_an_answer_changes_as_the_text_does(answer: str, old: str, new: str, expected: str) -> None:
    assert nearest.changed(answer, old, new) == expected

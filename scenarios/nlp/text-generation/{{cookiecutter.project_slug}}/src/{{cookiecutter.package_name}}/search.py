"""From probabilities of single words to whole answers: greedy and beam search, with limits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mlops_runtime.errors import Problem

Array = np.ndarray[Any, Any]
NEVER = -1e9
# The most likely next words: for each row log-probabilities of all words (rows, words), after the words chosen last
# (rows,), which continue the rows of the step before (rows,).
Step = Callable[[Array, Array], Array]
MOST_WORDS, MOST_BEAMS = 200, 8


@dataclass(frozen=True)
class Options:
    """How answers are sought; the same for every request, so that nobody can ask for more work than planned."""

    max_new_tokens: int = 60  # words and marks of an answer
    beams: int = 1  # answers followed at a time; 1 is greedy
    length_penalty: float = 1.0  # beams are compared by log-probability / words ** length_penalty (Wu et al. 2016)
    no_repeat: int = 4  # words in a row that an answer never has twice; 0 allows everything

    def __post_init__(self) -> None:
        limits: dict[str, tuple[type, float, float]] = {
            "max_new_tokens": (int, 1, MOST_WORDS),
            "beams": (int, 1, MOST_BEAMS),
            "length_penalty": (float, 0, 5),
            "no_repeat": (int, 0, 20),
        }
        for name, (kind, low, high) in limits.items():
            value: Any = getattr(self, name)
            if type(value) not in (int, kind) or not low <= value <= high:
                raise Problem(f"{name} is {value!r}: give a {'whole ' * (kind is int)}number from {low} to {high}.")


class Found(NamedTuple):
    """One answer: its words as numbers, without the end, and the mean log-probability of each, the end included."""

    words: list[int]
    mean: float


def search(step: Step, rows: int, start: int, end: int, options: Options) -> list[Found]:
    """The answer that `step` makes most likely for each of `rows` texts. Deterministic; ties go to the lower number."""
    width = options.beams
    lines: list[list[list[int]]] = [[[] for _ in range(width)] for _ in range(rows)]
    scores = np.full((rows, width), NEVER)
    scores[:, 0] = 0.0  # the beams are the same at first: only one counts
    done: list[list[Found]] = [[] for _ in range(rows)]
    last, parents = np.full(rows * width, start), np.arange(rows * width)
    for place in range(options.max_new_tokens + 1):
        likely = np.array(step(last, parents), dtype=float).reshape(rows, width, -1)
        if place == options.max_new_tokens:  # the end is due
            ends = likely[:, :, end].copy()
            likely[:] = NEVER
            likely[:, :, end] = ends
        elif options.no_repeat:
            for row, beam in np.ndindex(rows, width):
                likely[row, beam, repeated(lines[row][beam], options.no_repeat)] = NEVER
        total = scores[:, :, None] + likely
        words = total.shape[2]
        flat = total.reshape(rows, -1)
        best = np.argpartition(-flat, 2 * width, axis=1)[:, : 2 * width]
        order = np.argsort(-np.take_along_axis(flat, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        chosen, scores = np.zeros((rows, width), dtype=int), np.full((rows, width), NEVER)
        kept, old = np.zeros((rows, width), dtype=int), lines
        lines = [[[] for _ in range(width)] for _ in range(rows)]
        for row in range(rows):
            free = 0
            for number, candidate in enumerate(best[row]):
                beam, word = divmod(int(candidate), words)
                score = float(total[row, beam, word])
                if score <= NEVER / 2 or free == width:
                    break
                line = old[row][beam]
                if word == end:
                    if number < width:
                        done[row].append(Found(line, score / (len(line) + 1)))
                    continue
                lines[row][free] = [*line, word]
                chosen[row, free], scores[row, free], kept[row, free] = word, score, beam
                free += 1
            if len(done[row]) >= width:  # an answer that is still growing has to be better than those that ended
                growing = [Found(line, scores[row, beam] / (place + 2)) for beam, line in enumerate(lines[row][:free])]
                best_now = max((_compared(one, options) for one in growing), default=NEVER)
                if width == 1 or best_now <= max(_compared(one, options) for one in done[row]):
                    scores[row] = NEVER
        if (scores <= NEVER / 2).all():
            break
        last, parents = chosen.ravel(), (kept + np.arange(rows)[:, None] * width).ravel()
    return [max(found, key=lambda one: _compared(one, options), default=Found([], NEVER)) for found in done]


def _compared(found: Found, options: Options) -> float:
    length = len(found.words) + 1
    return float(found.mean * length / float(length) ** options.length_penalty)


def repeated(line: list[int], most: int) -> list[int]:
    """The words that would end a run of `most` words which `line` has already."""
    if len(line) < most:
        return []
    tail = line[len(line) - most + 1 :]
    runs = range(len(line) - most + 1)
    return [line[at + most - 1] for at in runs if line[at : at + most - 1] == tail]

"""Pieces of words for neural networks: a byte-pair tokenizer learnt from the training texts."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

Array = np.ndarray[Any, Any]
PAD, UNKNOWN = "<pad>", "<unk>"
PIECES = 4000  # that a trained tokenizer knows at most


@dataclass(frozen=True)
class Encoded:
    """A batch as a network reads it; short texts are padded, long ones cut."""

    ids: Array  # (texts, length) int64
    mask: Array  # (texts, length) int64: 1 for pieces, 0 for padding
    offsets: list[list[tuple[int, int]]]  # for each text the places of its pieces in characters


class Pieces:
    """A tokenizer and how to make batches with it."""

    def __init__(self, tokenizer: Tokenizer, pad: int = 0) -> None:
        self.tokenizer = tokenizer
        self.pad = pad
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    @classmethod
    def train(cls, texts: Iterable[str], lower: bool = True) -> "Pieces":
        """Learn the pieces by byte-pair encoding (Sennrich, Haddow & Birch 2016) of words, by default in lower case."""
        tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
        if lower:
            tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.BertPreTokenizer(),
                pre_tokenizers.Digits(individual_digits=True),
            ]
        )
        trainer = trainers.BpeTrainer(vocab_size=PIECES, special_tokens=[PAD, UNKNOWN], show_progress=False)
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    @property
    def size(self) -> int:
        """How many pieces there are."""
        return int(self.tokenizer.get_vocab_size())

    def encode(self, texts: list[str], most: int) -> Encoded:
        """A batch, with at most `most` pieces of each text."""
        found = self.tokenizer.encode_batch(texts)
        rows = [row.ids[:most] for row in found]
        length = max(1, *(len(row) for row in rows))
        ids = np.full((len(rows), length), self.pad, dtype=np.int64)
        mask = np.zeros((len(rows), length), dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, : len(row)] = 1
        mask[:, 0] = 1  # a text without any piece still needs something to attend to
        return Encoded(ids, mask, [row.offsets[:most] for row in found])

    def save(self, path: Path) -> None:
        """Write as the JSON that Hugging Face's libraries read too."""
        self.tokenizer.save(str(path))

    @classmethod
    def load(cls, path: Path, pad: int = 0) -> "Pieces":
        """Read what `save` wrote."""
        return cls(Tokenizer.from_file(str(path)), pad)

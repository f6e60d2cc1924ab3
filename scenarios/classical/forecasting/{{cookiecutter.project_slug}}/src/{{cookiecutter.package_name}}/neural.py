"""A recurrent network over the last four weeks, in torch (the extra `lstm`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from .data import WEEK, Array, names
from .forecaster import Forecaster

BATCH_ROWS = 64


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch work on one thread: quicker for a network this small, and the same result on every machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Lstm(Forecaster):
    """An LSTM reads the days of an airport; from its last state a linear layer tells all days ahead at once.

    One network for all airports. Like the trees it learns how far a day is from the typical one of its weekday.
    """

    history_days = 4 * WEEK

    def __init__(self, horizon: int, seed: int, units: int, epochs: int, learning_rate: float, dropout: float) -> None:
        super().__init__(horizon, seed)
        self.units = units
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.network: Any = None

    def fit(self, series: pd.DataFrame) -> None:
        """Minimise the absolute error by Adam over shuffled batches."""
        self.airports = names(series)
        counts = series.to_numpy()
        windows, targets = [], []
        for cutoff in range(self.history_days, len(series) - self.horizon + 1):
            days, base, level = self._inputs(series.iloc[cutoff - self.history_days : cutoff])
            windows.append(days)
            targets.append(((counts[cutoff : cutoff + self.horizon] - base) / level).T)
        x = torch.from_numpy(np.concatenate(windows))
        y = torch.from_numpy(np.concatenate(targets).astype(np.float32))

        with _one_thread(), torch.random.fork_rng(devices=[]):  # torch has one generator: it is put back afterwards
            torch.manual_seed(self.seed)
            self.network = self._new_network()
            optimizer = torch.optim.Adam(self.network.parameters(), lr=self.learning_rate)
            self.network.train()
            for _ in range(self.epochs):
                order = torch.randperm(len(x))
                for start in range(0, len(x), BATCH_ROWS):
                    rows = order[start : start + BATCH_ROWS]
                    loss: Any = nn.functional.l1_loss(self._ahead(x[rows]), y[rows])
                    optimizer.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
                    optimizer.step()
            self.network.eval()

    def forecast(self, series: pd.DataFrame) -> Array:
        """All airports and days ahead in one pass."""
        days, base, level = self._inputs(series)
        with _one_thread(), torch.inference_mode():
            relative = self._ahead(torch.from_numpy(days)).numpy()
        forecast: Array = base + relative.T.astype(np.float64) * level
        return forecast

    def save(self, folder: Path) -> None:
        """Write the weights as plain arrays."""
        np.savez(folder / "weights.npz", **{name: value.numpy() for name, value in self.network.state_dict().items()})

    def load(self, folder: Path) -> None:
        """Read the weights."""
        self.network = self._new_network()
        with np.load(folder / "weights.npz", allow_pickle=False) as weights:
            self.network.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights})
        self.network.eval()

    def _new_network(self) -> Any:
        inputs = 1 + WEEK + len(self.airports)
        return nn.ModuleDict(
            {
                "recurrent": nn.LSTM(inputs, self.units, batch_first=True),
                "dropout": nn.Dropout(self.dropout),
                "ahead": nn.Linear(self.units, self.horizon),
            }
        )

    def _ahead(self, days: torch.Tensor) -> Any:
        """(rows, days, inputs) → (rows, horizon)."""
        states, _ = self.network["recurrent"](days)
        return self.network["ahead"](self.network["dropout"](states[:, -1]))

    def _inputs(self, window: pd.DataFrame) -> tuple[Array, Array, Array]:
        """What the network sees of `window` (history_days, airports), and what its answers are relative to.

        Returns the days, (airports, history_days, 1 + 7 + airports) float32: the count as distance from the level,
        its weekday and airport as 0/1; the median of the same weekday, (horizon, airports);
        the level, (airports,).
        """
        values = window.to_numpy()
        level = np.maximum(values.mean(axis=0), 1.0)
        weekdays = np.eye(WEEK)[pd.DatetimeIndex(window.index).dayofweek]
        known = np.eye(len(self.airports))
        rows = []
        for column, name in enumerate(names(window)):
            airport = np.tile(known[self.airports.index(name)], (len(window), 1))
            rows.append(np.column_stack([values[:, column] / level[column] - 1, weekdays, airport]))
        typical = np.median(values.reshape(-1, WEEK, values.shape[1]), axis=0)
        base = np.resize(typical, (self.horizon, values.shape[1]))
        return np.stack(rows).astype(np.float32), base, level

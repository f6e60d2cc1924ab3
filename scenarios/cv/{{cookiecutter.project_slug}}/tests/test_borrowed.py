"""Networks of torchvision: tested with a stand-in that has its interface, and with itself where it is installed."""

import sys
from dataclasses import replace
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mlops_runtime.errors import Problem

from .conftest import SIZE, Tables
from {{ cookiecutter.package_name }} import answers, borrowed, data, embeddings, fitting, model, train
from {{ cookiecutter.package_name }}.network import loss, targets

try:
    import torchvision
except (ImportError, RuntimeError):
    torchvision = None
NAME = "fcn_tiny"
REAL = "fcn_resnet50" if answers.TARGET == data.REGIONS else "resnet18"
SETTINGS = fitting.Settings(epochs=2, batch_size=16, learning_rate=0.02, seed=0, network=NAME, weights="PHOTOGRAPHS")


class Weights(Enum):
    """The weights of the stand-in."""

    PHOTOGRAPHS = 1


class Tiny(nn.Module):  # type: ignore[misc]  # PyTorch is used without its types
    """Has what is used of a ResNet and of an FCN."""

    def __init__(self, weights: Weights | None) -> None:
        super().__init__()
        layers = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU())
        self.backbone = Features(layers)
        self.classifier = nn.Sequential(nn.Conv2d(32, 32, 1), nn.ReLU(), nn.Conv2d(32, 21, 1))
        self.aux_classifier = nn.Conv2d(32, 21, 1)
        self.fc = nn.Linear(32, 1000)
        if weights:
            layers[1].running_mean.fill_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.backbone(x)["out"].mean(dim=(2, 3)))


class Features(nn.Module):  # type: ignore[misc]  # PyTorch is used without its types
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": self.layers(x)}


@pytest.fixture
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision with one network."""

    def builder(name: str) -> type[nn.Module]:
        if name != NAME:
            raise ValueError(f"Unknown model {name}")
        return Tiny

    stand_in = ModuleType("torchvision")
    stand_in.models = SimpleNamespace(  # type: ignore[attr-defined]  # it is made here
        get_model_builder=builder,
        get_model_weights=lambda name: Weights,
        get_model=lambda name, weights, **more: builder(name)(weights),
    )
    monkeypatch.setitem(sys.modules, "torchvision", stand_in)


def make(settings: fitting.Settings) -> nn.Module:
    torch.manual_seed(0)
    return train.build(4, settings)[0]


def normalizations(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [part for part in network.modules() if isinstance(part, kind)]


def check_graph(network: nn.Module, tables: Tables) -> None:
    """The graph does what the network does, whatever else is in the batch."""
    exported = train.Exported(network, 1.3).eval()
    pixels = tables[1].pixels(SIZE)[:3]
    with torch.no_grad():
        expected = [part.numpy() for part in exported(torch.from_numpy(pixels))]
    space = embeddings.learn(np.random.default_rng(0).normal(size=(50, expected[1].shape[1])), np.arange(50) % 4)
    saved = model.build(train.export(exported, SIZE), model.Facts(tables[1].classes, SIZE, space, {}))
    found = [saved.session.run(None, {"images": pixels[row : row + 1]}) for row in range(len(pixels))]
    found = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-3, rtol=1e-4)


@pytest.mark.usefixtures("_stand_in")
def test_a_learnt_network_learns_on(tables: Tables, tmp_path: Path) -> None:
    few = replace(tables[0], frame=tables[0].frame.head(100))
    examples = fitting.Examples(few.pixels(SIZE), targets(few, SIZE))
    network, before = make(SETTINGS), make(SETTINGS)
    history = fitting.fit(network, loss, examples, examples, SETTINGS, tmp_path / "checkpoint.npz")
    assert history[-1]["validation_loss"] < history[0]["validation_loss"]
    (kept,), (old,) = (normalizations(one, nn.BatchNorm2d) for one in (network, before))
    assert float(kept.running_mean[0]) == pytest.approx(0.3)
    assert torch.equal(kept.running_mean, old.running_mean)
    assert not torch.equal(kept.weight, old.weight)
    check_graph(network, tables)


@pytest.mark.parametrize("name", [NAME, REAL] if torchvision else [NAME])
def test_without_weights_every_image_is_normalized_alone(
    name: str, tables: Tables, request: pytest.FixtureRequest
) -> None:
    if name == NAME:
        request.getfixturevalue("_stand_in")
    network = make(replace(SETTINGS, network=name, weights="none"))
    assert not normalizations(network, nn.BatchNorm2d)
    check_graph(network.eval(), tables)


@pytest.mark.usefixtures("_stand_in")
def test_what_was_learnt_before_is_changed_slowly() -> None:
    assert train.build(4, SETTINGS)[1] == pytest.approx(SETTINGS.learning_rate * borrowed.RATE)
    assert train.build(4, replace(SETTINGS, weights="none"))[1] == SETTINGS.learning_rate


@pytest.mark.usefixtures("_stand_in")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "fcn_tinier"}, "torchvision has none of this name"),
        ({"weights": "PAINTINGS"}, "fcn_tiny has PHOTOGRAPHS; or give none"),
        ({"network": "small"}, "only networks of torchvision have any"),
    ],
)
def test_unknown_names_are_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(Problem, match=message):
        train.build(4, replace(SETTINGS, **change))  # type: ignore[arg-type]  # names only


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(Problem, match="uv sync --extra torchvision"):
        train.build(4, SETTINGS)

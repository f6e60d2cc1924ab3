"""Terms, TF-IDF and embeddings."""

from pathlib import Path

import numpy as np

from .conftest import Tables
from {{ cookiecutter.package_name }}.features import Features, terms


def test_terms() -> None:
    found = terms("No tea")
    assert {"no", "tea", "no tea", "#_no", "#no_", "#_no_", "#_te", "#tea", "#ea_", "#_tea", "#tea_"} == set(found)


def test_neighbours_are_those_in_a_sentence() -> None:
    pairs = {term for term in terms("No parcel yet. Refund me, Dr. Berg!") if " " in term}
    assert pairs == {"no parcel", "parcel yet", "refund me", "me dr", "dr berg"}


def test_features_survive_saving(tables: Tables, tmp_path: Path) -> None:
    texts = tables[0].frame["text"].tolist()
    features = Features.fit(texts, seed=0)
    features.save(tmp_path)
    again = Features.load(tmp_path)
    assert (features.transform(texts[:50]) != again.transform(texts[:50])).nnz == 0
    np.testing.assert_array_equal(features.embed(texts[:50]), again.embed(texts[:50]))
    assert again.unknown("my zyxwv") == ["zyxwv"]


def test_like_texts_lie_near_each_other(tables: Tables) -> None:
    features = Features.fit(tables[0].frame["text"].tolist(), seed=0)
    texts = ["My parcel has not arrived yet.", "The parcel has not arrived.", "Mein Passwort wird nicht angenommen."]
    points = features.embed(texts)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-5)
    assert points[0] @ points[1] > points[0] @ points[2] + 0.3


def test_a_text_without_known_terms_has_no_direction(tables: Tables) -> None:
    features = Features.fit(tables[0].frame["text"].tolist(), seed=0)
    assert not features.embed(["", "\u4f60\u597d"]).any()

"""Make the sample data of the scenario cv with the generator that its projects have.

    python scripts/make_sample_images.py

Needs pandas, pyarrow and Pillow. The same library versions always give the same bytes.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PROJECT = Path(__file__).resolve().parents[1] / "scenarios" / "cv" / "{{cookiecutter.project_slug}}"
IMAGES, NEW_IMAGES = 2000, 500


def load_generator() -> Any:
    """The module `synthetic` of the generated package."""
    package = ModuleType("package")
    package.__path__ = [str(PROJECT / "src" / "{{cookiecutter.package_name}}")]
    sys.modules[package.__name__] = package
    return importlib.import_module("package.synthetic")


def main() -> None:
    synthetic = load_generator()
    shifted = synthetic.World(
        classes=[*synthetic.CLASSES, *synthetic.CLASSES, synthetic.NEW_CLASS],
        backgrounds=[*synthetic.BACKGROUNDS, synthetic.NEW_BACKGROUND],
        darkening=0.45,
        blur=0.6,
    )
    tables = {
        "images/images.parquet": synthetic.make(IMAGES, seed=1),
        "images-new.parquet": synthetic.make(NEW_IMAGES, seed=2, world=shifted, start="2026-05-01", days=60),
    }
    for name, table in tables.items():
        path = PROJECT / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(path, index=False, compression="zstd", compression_level=19)
        print(f"{name}: {len(table):,} images, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

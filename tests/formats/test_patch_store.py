from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segwheel.formats import patch_store
from segwheel.formats.patch_store import open_patches, write_patches


@pytest.mark.parametrize(("elements", "files"), [(2**24, 1), (100, 3), (1, 5)])
def test_fewer_large_patches_share_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elements: int, files: int
) -> None:
    monkeypatch.setattr(patch_store, "SHARD_ELEMENTS", elements)
    images = [np.full((5, 10), i + 1, np.float32) for i in range(5)]
    patches = ((image, {"mask": image.astype(np.uint8)}) for image in images)
    write_patches(tmp_path / "p.zarr", patches, 5, {"samples": list("abcde")})
    store = open_patches(tmp_path / "p.zarr")
    assert sum(path.is_file() for path in (tmp_path / "p.zarr" / "image" / "c").rglob("*")) == files
    for i, image in enumerate(images):
        np.testing.assert_array_equal(store[i][0], image)
        np.testing.assert_array_equal(store[i][1]["mask"], image)
    assert store.attributes["samples"] == list("abcde")

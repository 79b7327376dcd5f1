"""Size, shape and place of each object."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from skimage.measure import regionprops_table

_PROPERTIES = {  # of scikit-image, and the column each becomes
    "label": "object",
    "area": "area",
    "perimeter": "perimeter",
    "equivalent_diameter_area": "equivalent_diameter",
    "axis_major_length": "major_axis",
    "axis_minor_length": "minor_axis",
    "eccentricity": "eccentricity",
    "centroid-0": "centroid_y",
    "centroid-1": "centroid_x",
    "bbox-0": "bbox_y_start",
    "bbox-1": "bbox_x_start",
    "bbox-2": "bbox_y_stop",
    "bbox-3": "bbox_x_stop",
}
_LENGTHS = (
    *("perimeter", "equivalent_diameter", "major_axis", "minor_axis"),
    *(name for name in _PROPERTIES.values() if name.startswith(("centroid", "bbox"))),
)
COLUMNS = (
    *(name for name in _PROPERTIES.values() if not name.startswith(("centroid", "bbox"))),
    "circularity",
    *(name for name in _PROPERTIES.values() if name.startswith(("centroid", "bbox"))),
)


def measure_objects(labels: npt.NDArray[Any], pixel_size_um: float | None = None) -> pd.DataFrame:
    """One row for each object of an instance label array (y, x), in the order of the labels.

    Columns are COLUMNS: `object` is the label; lengths and areas are in pixels; centroids are in pixels from the
    middle of the first; the bounding box is half-open. With a pixel size the same areas and lengths follow in um:
    `area_um2`, `perimeter_um`, ...

    Axes and eccentricity are those of the ellipse with the object's second moments. The perimeter is the length
    of the line through the middles of the border pixels. Circularity is 4 pi area / perimeter^2, at most 1; NaN
    for an object so small that its perimeter is 0.
    """
    properties = {name.rsplit("-", 1)[0] if name[-1].isdigit() else name for name in _PROPERTIES}
    table = pd.DataFrame(regionprops_table(labels, properties=sorted(properties))).rename(columns=_PROPERTIES)
    perimeter = table["perimeter"].to_numpy(dtype=np.float64)
    perimeter = np.where(perimeter > 0, perimeter, np.nan)
    table["circularity"] = np.minimum(4 * np.pi * table["area"].to_numpy() / perimeter**2, 1.0)
    table = table[list(COLUMNS)].astype({"area": np.int64})
    if pixel_size_um is not None:
        table["area_um2"] = table["area"] * pixel_size_um**2
        for name in _LENGTHS:
            table[f"{name}_um"] = table[name] * pixel_size_um
    return table

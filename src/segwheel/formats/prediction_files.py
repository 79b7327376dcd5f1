"""The files that a prediction of one image consists of: `<image>` and one of these endings."""

MASK = "_pred_mask.tif"  # 0 and 255
MAPS = {  # target -> float32 in 0..1
    "mask": "_pred_prob.tif",
    "distance": "_pred_dist.tif",
    "border": "_pred_border.tif",
}

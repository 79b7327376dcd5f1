#!/usr/bin/env bash
# Two iterations of both flywheels on generated data, in a clone of this checkout that git ignores.
set -euo pipefail
cd "$(dirname "$0")/.."
rm -rf demo
git clone --quiet . demo
cd demo
git config user.name "segwheel demo"
git config user.email "demo@localhost"
export DVC_NO_ANALYTICS=1 MLFLOW_DISABLE_TELEMETRY=true

echo "== Iteration 1: train on six labelled images, and on one labelled volume =="
dvc repro
git add . && git commit --quiet --message "Iteration 1"

echo "== A simulated annotator corrects the first images and slices of the review queues =="
segwheel correct microscopy --simulate 4 --commit
segwheel correct seismic --simulate 4 --commit

echo "== Iteration 2: train again, with the corrections =="
dvc repro
git add . && git commit --quiet --message "Iteration 2"

segwheel report microscopy
segwheel report seismic
segwheel compare microscopy
segwheel compare seismic
cat <<'END'

Look at it:
  make ui IN=demo             iterations side by side in MLflow, http://127.0.0.1:5000
  make tensorboard IN=demo    curves and sample pictures, http://127.0.0.1:6006
  xdg-open demo/reports/microscopy/report.html    the pictures of the last iteration; seismic beside it
END

#!/usr/bin/env bash
# Puts the package of the workflow's own checkout into the environment; its dependencies are there already.
set -euo pipefail
python -m pip install --no-deps --no-build-isolation --editable "$SKYDENOISE_CHECKOUT"

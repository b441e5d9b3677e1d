#!/usr/bin/env bash
# Trains the joint latent EBM on scikit-learn's digits, evaluates it and writes the report.
# usage: ./launch/quickstart.sh [workdir]        (default: runs/digits_joint)
set -euo pipefail
case ${1:-} in
  -h | --help)
    sed -n '2,3s/^# //p' "$0"
    exit
    ;;
  -*)
    echo "error: '$1' is no folder; usage: ./launch/quickstart.sh [workdir]" >&2
    exit 2
    ;;
esac
cd "$(dirname "$0")/.."
source launch/setup_env.sh requirements.txt
exec .venv/bin/python -m ebm_jax.main \
  --config configs/digits_joint.py --workdir "${1:-runs/digits_joint}"

#!/usr/bin/env bash
# Sets up like quickstart.sh and runs the tests.
# usage: ./launch/test.sh [--all] [pytest arguments]
#   --all   also the slow ones: fault injection, every README command, real launches
set -euo pipefail
cd "$(dirname "$0")/.."
EBM_JAX_ACCELERATOR=cpu source launch/setup_env.sh requirements-test.txt

selection=(-m "not slow")
if [ "${1:-}" = "--all" ]; then
  selection=()
  shift
fi
coverage=()
if [ $# -eq 0 ]; then # a part of the suite cannot reach the whole's coverage
  coverage=(--cov --cov-report=term:skip-covered --cov-fail-under=90)
fi
exec .venv/bin/python -m pytest -n "${EBM_JAX_TEST_WORKERS:-2}" --dist loadgroup \
  "${selection[@]}" "${coverage[@]}" "$@"

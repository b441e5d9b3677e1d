#!/usr/bin/env bash
# Sets up like quickstart.sh and runs the tests.
# usage: ./launch/test.sh [--all] [pytest arguments]
#   --all   also the slow ones: fault injection, every command of README and experiments, pages in
#           Chromium (which is installed first where that takes no more than apt-get), real launches
set -euo pipefail
if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
  sed -n '2,5s/^# //p' "$0"
  exit
fi
cd "$(dirname "$0")/.."
EBM_JAX_ACCELERATOR=cpu source launch/setup_env.sh requirements-test.txt

selection=(-m "not slow")
if [ "${1:-}" = "--all" ]; then
  selection=()
  shift
  if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium and chromium-driver, in which the pages are tested …"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y chromium chromium-driver; } \
      >/dev/null 2>&1 || echo "that failed; the tests of the pages in a browser are skipped."
  fi
fi
# Measured on the quick tests as a whole: the slow ones have processes of their own, which it does not
# see and makes longer.
coverage=()
if [ $# -eq 0 ] && [ -n "${selection[*]}" ]; then
  coverage=(--cov --cov-report=term:skip-covered --cov-fail-under=90)
fi
exec .venv/bin/python -m pytest -n "${EBM_JAX_TEST_WORKERS:-2}" --dist loadgroup \
  "${selection[@]}" "${coverage[@]}" "$@"

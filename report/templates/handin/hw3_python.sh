#!/usr/bin/env bash
# bash hw3_python.sh <arguments>: Python with the library in library/, which need not be installed.
# The Python is $PYTHON, this folder's .venv, the one this folder was made with, or any other: the
# first that has torch, numpy, Pillow and safetensors, which predicting needs.
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$here/library${PYTHONPATH:+:$PYTHONPATH}"
export HW3_RUNS="${HW3_RUNS:-$here/runs}" HW3_CACHE="${HW3_CACHE:-$here/.cache}"
needed='import importlib.util as u, sys
sys.exit(not all(map(u.find_spec, ("torch", "numpy", "PIL", "safetensors"))))'
for python in "${PYTHON:-}" "$here/.venv/bin/python" {python} python3 python; do
  if [ -n "$python" ] && "$python" -c "$needed" 2>/dev/null; then
    exec "$python" "$@"
  fi
done
echo "hw3: no Python here has torch, numpy, Pillow and safetensors; install them, once: make setup" >&2
exit 2

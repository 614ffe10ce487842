#!/usr/bin/env bash
# bash hw3_python.sh <arguments>: a Python that has the library hw3lib.
# The Python is $PYTHON, this folder's .venv, the one this folder was made with, or any other. The
# library is the installed one, or the clone that this folder was made from while it lies there.
here=$(cd "$(dirname "$0")" && pwd)
library=$here/{library}
[ -d "$library/hw3lib" ] && export PYTHONPATH="$library${PYTHONPATH:+:$PYTHONPATH}"
for python in "${PYTHON:-}" "$here/.venv/bin/python" {python} python3 python; do
  if [ -n "$python" ] && "$python" -c "import hw3lib.cli, torch" 2>/dev/null; then
    exec "$python" "$@"
  fi
done
echo "hw3: no Python here has hw3lib; install it, once: make setup" >&2
exit 2

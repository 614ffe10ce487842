#!/usr/bin/env bash
# Prints the Python that has hw3lib: this folder's .venv, the one it was made with, or any.
here=$(cd "$(dirname "$0")" && pwd)
for python in "${PYTHON:-}" "$here/.venv/bin/python" '{python}' python3 python; do
  if [ -n "$python" ] && "$python" -c 'import hw3lib' 2>/dev/null; then
    echo "$python"
    exit
  fi
done
echo "hw3lib is not installed: pip install -r requirements.txt" >&2
exit 1

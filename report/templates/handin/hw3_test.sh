#!/usr/bin/env bash
# bash hw3_test.sh <test folder> <prediction.csv>
# Predicts the class of every picture in the folder and writes id,label. No network is used.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 2 ] || { echo "usage: bash hw3_test.sh <test folder> <prediction.csv>" >&2; exit 2; }
exec "$("$here/find_python.sh")" -m hw3lib.cli predict "$here/weights/best.safetensors" \
  --data "$1" --out "$2" --views ten

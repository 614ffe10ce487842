#!/usr/bin/env bash
# bash hw3_test.sh <test folder> <prediction.csv>
# Predicts the class of every image in the folder, ten views each, and writes id,label.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 2 ] || { echo "usage: bash hw3_test.sh <test folder> <prediction.csv>" >&2; exit 2; }
mkdir -p "$(dirname "$2")"
exec bash "$here/hw3_python.sh" -m hw3lib.cli predict "$here/weights/best.safetensors" "$1" --out "$2" --views ten

#!/usr/bin/env bash
# bash hw3_test.sh <test folder> <prediction.csv>
# Predicts the class of every picture in the folder and writes id,label. No network is used.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 2 ] || { echo "usage: bash hw3_test.sh <test folder> <prediction.csv>" >&2; exit 2; }
exec bash "$here/hw3_python.sh" -m hw3lib.student test "$1" "$2" "$here"

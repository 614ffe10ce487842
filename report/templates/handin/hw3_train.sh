#!/usr/bin/env bash
# bash hw3_train.sh <train folder> <train.csv>
# Trains the network of handin.toml on the folder's images, labelled by the table (id,label), and
# puts it in the place of weights/best.safetensors, which hw3_test.sh reads.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 2 ] || { echo "usage: bash hw3_train.sh <train folder> <train.csv>" >&2; exit 2; }
exec bash "$here/hw3_python.sh" -m hw3lib.cli train-handin "$1" "$2" "$here"

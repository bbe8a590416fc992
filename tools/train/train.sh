#!/bin/sh
# Trains and exports the three models of conf/models. "train.sh text" does one of them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../../build/train/venv

if [ ! -x "$venv/bin/pip" ]; then
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv"
fi
"$venv/bin/pip" install --quiet --requirement "$here/requirements.txt"

# tf2onnx walks sets of names: without a fixed hash seed every export has another byte order.
export PYTHONHASHSEED=0 TF_CPP_MIN_LOG_LEVEL=2 CUDA_VISIBLE_DEVICES=
[ $# -gt 0 ] || set -- digits text attention
for name in "$@"; do
    "$venv/bin/python" -B "$here/train_$name.py"
done

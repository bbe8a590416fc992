#!/bin/sh
# Trains and exports the models of conf/models. "train.sh text" does one of them.
# A model with a requirements-NAME.txt has a Python environment of its own.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
train=$here/../../build/train

# tf2onnx walks sets of names: without a fixed hash seed every export has another byte order.
export PYTHONHASHSEED=0 TF_CPP_MIN_LOG_LEVEL=2 CUDA_VISIBLE_DEVICES=
[ $# -gt 0 ] || set -- digits text attention fraud
for name in "$@"; do
    venv=$train/venv
    requirements=$here/requirements.txt
    if [ -f "$here/requirements-$name.txt" ]; then
        venv=$train/venv-$name
        requirements=$here/requirements-$name.txt
    fi
    if [ ! -x "$venv/bin/pip" ]; then
        mkdir -p "$train"
        python3 -m venv "$venv"
    fi
    "$venv/bin/pip" install --quiet --requirement "$requirements"
    "$venv/bin/python" -B "$here/train_$name.py"
done

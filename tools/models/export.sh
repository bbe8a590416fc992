#!/bin/sh
# Exports the graphs that tests/models/graphs keeps: export.sh FOLDER [NAME]...
#
# Installs TensorFlow (2 GB, in build/train/venv, as tools/train/train.sh does); about ten
# seconds a model, a minute for the largest.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../../build/train/venv

if [ ! -x "$venv/bin/pip" ]; then
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv"
fi
"$venv/bin/pip" install --quiet --requirement "$here/../train/requirements.txt"

# tf2onnx walks sets of names: without a fixed hash seed every export has another byte order.
export PYTHONHASHSEED=0 TF_CPP_MIN_LOG_LEVEL=2 KERAS_BACKEND=tensorflow CUDA_VISIBLE_DEVICES=
exec "$venv/bin/python" -B "$here/export_keras.py" "$@"

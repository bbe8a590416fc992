# shellcheck shell=bash
# lib.sh - what bench.sh and breakdown.sh share; sourced with $root set.

# bench_model NAME FOLDER: sets $file and $samples to a model and rows for it, or fails where
# there is none of that name. Those of the regression are made in FOLDER by make_bench_model.
bench_model() {
    case $1 in
    digits)
        file=$root/conf/models/digits/model.onnx
        samples=$root/tests/data/digits/samples.npy ;;
    logistic)
        file=$2/logistic/model.onnx
        samples=$2/logistic/samples.npy ;;
    *) return 1 ;;
    esac
}

# Makes what bench_model named, if it is not kept in the repository.
make_bench_model() {
    case $file in
    */logistic/*)
        "$("$root/tests/kafka/venv.sh")/bin/python" "$root/tests/bench/make_logistic.py" \
            "$(dirname "$file")" ;;
    esac
}

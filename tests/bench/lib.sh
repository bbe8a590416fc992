# shellcheck shell=bash
# lib.sh - what bench.sh and breakdown.sh share; sourced with $root set.

# bench_model NAME FOLDER: sets $file and $samples to a model and rows for it, or fails where
# there is none of that name. Some are made in FOLDER, by make_bench_model.
bench_model() {
    case $1 in
    digits)
        file=$root/conf/models/digits/model.onnx
        samples=$root/tests/data/digits/samples.npy ;;
    digits-int8)
        file=$2/digits-int8/model.onnx
        samples=$root/tests/data/digits/samples.npy ;;
    logistic)
        file=$2/logistic/model.onnx
        samples=$2/logistic/samples.npy ;;
    *) return 1 ;;
    esac
}

# Makes what bench_model named, if it is not kept in the repository.
make_bench_model() {
    local folder
    folder=$(dirname "$file")
    case $folder in
    */logistic | */digits-int8)
        "$("$root/tests/kafka/venv.sh")/bin/python" \
            "$root/tests/bench/make_$(basename "$folder" | tr - _).py" "$folder" ;;
    esac
}

# What a new user does wrong: the exit code, what was wrong with it, and what to do.
source tests/lib.sh

told() { # CODE TEXT ARGUMENT... TEXT is what the answer says
    expect_exit "$1" "$millrace" "${@:3}"
    expect "$2" "$work/out"
}
nobody=127.0.0.1:1
digits=conf/models/digits/model.onnx
told 2 "did you mean 'model'?" modle
told 2 "did you mean '--help'?" --hlep
told 2 'did you mean --config?' worker --confg x
told 2 "'millrace init' writes one" worker
told 2 "'millrace init' writes one" check-config "$work/none.conf"
told 2 MILLRACE_KAFKA_BOOTSTRAP_SERVERS submit --topic x --input =x.npy
told 2 'or --all' dlq purge --bootstrap $nobody --topic x
told 2 'as '\''dlq list'\'' shows it: 0:17' dlq show 17 --bootstrap $nobody --topic x
told 2 'they are written 17 or 3-9,12' dlq list --bootstrap $nobody --topic x --offsets a
told 2 '2026-01-31T23:59, in UTC' dlq list --bootstrap $nobody --topic x --since today
told 2 'bash, zsh or fish is needed' completion csh
told 2 "did you mean 'millrace-worker'?" man milrace-worker
told 2 'a whole number from 1 to' model bench $digits --batch 0
told 1 "$work/none.onnx: cannot open" model inspect "$work/none.onnx"
told 1 'README.md: not an ONNX file' model inspect README.md
told 1 "its only one is 'image'" model run $digits --input imge=x.npy --output-dir "$work"
told 2 '--input x.npy: NAME=FILE.npy is needed' model run $digits --input x.npy --output-dir "$work"
told 1 "is the address right, and does one run there?" \
    submit --bootstrap $nobody --topic x --input =tests/data/digits/labels.npy --wait 1
told 1 "is the address right, and does one run there?" topics a --bootstrap $nobody --wait 1
told 1 "a topic's name is of letters" topics 'a b' --bootstrap $nobody

# Help of any command, asked for in any way.
for words in 'help model run' 'model help run' 'model run --help'; do
    read -ra arguments <<<"$words"
    told 0 'usage: millrace model run' "${arguments[@]}"
done

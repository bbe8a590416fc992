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
told 2 "$work/none.onnx: cannot open" model inspect "$work/none.onnx"
told 2 'README.md: not an ONNX file' model inspect README.md
told 2 "its only one is 'image'" model run $digits --input imge=x.npy --output-dir "$work"
told 2 '--input x.npy: NAME=FILE.npy is needed' model run $digits --input x.npy --output-dir "$work"
told 1 "is the address right, and does one run there?" \
    submit --bootstrap $nobody --topic x --input =tests/data/digits/labels.npy --wait 1
told 1 "is the address right, and does one run there?" topics a --bootstrap $nobody --wait 1
told 2 "a topic's name is of letters" topics 'a b' --bootstrap $nobody

# Wrong arguments are exit code 2 and point to --help, though it takes files to see them.
wrong() { # TEXT ARGUMENT...
    told 2 "$1" "${@:2}"
    expect "--help'" "$work/out"
}
printf 'a,b\n1,2\n' >"$work/in.csv"
twofold=tests/data/models/twofold.onnx
score=(score $twofold "$work/in.csv" "$work/out.csv")
rows=(submit --bootstrap $nobody --topic x --rows "$work/in.csv")
answers=(collect --bootstrap $nobody --topic x --count 1 --answers)
wrong 'a number of partitions' topics a:0 --bootstrap $nobody
wrong 'a number of partitions' broker --topics a:0
wrong 'no input has this free dimension' model bench $twofold --dim z=3
wrong '--input x=FILE.npy is needed' model run $twofold --output-dir "$work"
wrong 'avro|csv|jsonl|npy is needed: the name' score $twofold "$work/in.csv" "$work/out.wav"
wrong 'null|deflate|snappy|zstandard is needed' "${score[@]}" --codec gzip
wrong "there is no column 'z'" "${score[@]}" --map x=z
wrong "there is no column 'z'" "${score[@]}" --ignore z
printf 'a;b\n1;2\n' >"$work/semicolons.csv"
wrong "or is it --delimiter ';'?" score $twofold "$work/semicolons.csv" "$work/out.csv"
wrong "or is it --delimiter ';'?" submit --bootstrap $nobody --topic x --rows "$work/semicolons.csv" \
    --model-file $twofold
wrong 'one character is needed' "${score[@]}" --delimiter ab
printf 'a,b\n1,2\n3,4\n5,1_000\n' >"$work/texts.csv"
wrong '1 columns hold numbers, a; of text are: b (row 3)' score $twofold "$work/texts.csv" "$work/out.csv"
printf '{"a": 1, "b": 2}\n{"a": 1, "b": "x"}\n' >"$work/texts.jsonl"
wrong 'a; of text are: b (in some rows)' score $twofold "$work/texts.jsonl" "$work/out.csv"
wrong 'a type is long' "${score[@]}" --type a=real
wrong 'a file of its own' "${score[@]}" --on-error "$work/out.csv"
wrong 'of --mapping' "${score[@]}" --route payments
wrong 'job|record is needed' "${rows[@]}" --as what
wrong 'no such column' "${rows[@]}" --as record --type z=long
wrong "there is no column 'z'" "${rows[@]}" --model-file $twofold --map x=z
wrong 'No such configuration property' "${rows[@]}" --as record -X no=1
wrong 'only CSV and JSON lines' "${rows[@]}" --as record --follow --from npy
wrong 'of --as record' "${rows[@]}" --model-file $twofold --schema-out "$work/none.avsc"
wrong 'cannot write: No such file' "${rows[@]}" --as record --schema-out "$work/none/row.avsc"
wrong 'are of --rows' submit --bootstrap $nobody --topic x --input =x.npy --as record
wrong 'avro|csv|jsonl|npy is needed: the name' "${answers[@]}" "$work/a.wav"
wrong 'which schema do the records have' "${answers[@]}" "$work/a.csv" --as record
wrong 'not begin with http://' "${answers[@]}" "$work/a.csv" --as record --registry ftp://r
wrong 'topics are called so' init --model $twofold --topic 'a b' --output "$work/x.conf"
[ ! -e "$work/out.csv" ] && [ ! -e "$work/x.conf" ] || fail "a file was written"

# Help of any command, asked for in any way.
for words in 'help model run' 'model help run' 'model run --help'; do
    read -ra arguments <<<"$words"
    told 0 'usage: millrace model run' "${arguments[@]}"
done

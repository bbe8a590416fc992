# Each bad job goes, as it came, to the dead-letter topic with its reason; the good ones
# around it are answered.
source tests/lib.sh

ROUTE_EXTRA='job_bytes_max = 20000;' MODEL_EXTRA='nan = "reject";'
start_broker digits.{jobs:1,results:1,dead:1} made:1
write_config "$work/worker.conf" digits
start_worker 1 "$work/worker.conf"

# A good message, to be spoiled.
"$millrace" submit --bootstrap "$bootstrap" --topic made --count 1 \
    --input "=tests/data/digits/samples.npy" --id-prefix made-
read_topic made 1 '%s' >"$work/good"
size=$(stat -c %s "$work/good")
[ "$size" -gt 3000 ] || fail "a message of $size bytes is no image"

bad=0
spoil() { # REASON FILE
    submit digits 1 --first "$bad"
    send_raw digits.jobs "key-$bad" "$2" origin=flow
    cp "$2" "$work/bad-$bad"
    reasons+=("$1")
    bad=$((bad + 1))
}

send_rows() { # REASON [FLAG]...
    submit digits 1 --first "$bad"
    "$millrace" submit --bootstrap "$bootstrap" --topic digits.jobs --count 1 \
        --id-prefix spoiled- "${@:2}"
    reasons+=("$1")
    bad=$((bad + 1))
}

reasons=()
head -c 100 "$work/good" >"$work/cut"
spoil 'byte ' "$work/cut"
head -c $((size - 1)) "$work/good" >"$work/cut"
spoil 'byte ' "$work/cut"
: >"$work/empty"
spoil 'at byte 0' "$work/empty"
printf '\377\377\377\377\377\377\377\377\377\377\377\377' >"$work/noise"
spoil 'byte ' "$work/noise"
head -c 30000 /dev/zero >"$work/large"
spoil 'job_bytes_max = 20000' "$work/large"

# Well-formed Avro by hand: an id, no model, no version, no deadline, no headers; and then
# one unnamed float32 input of the right shape.
job='\012job-1\0\0\0\0'
image='\002\0\0\006\070\070\002\0'
printf "$job"'\0' >"$work/no-inputs"
spoil 'without inputs' "$work/no-inputs"
printf "$job$image"'\0\020\1\2\3\4\5\6\7\10\0' >"$work/few"
spoil '8 bytes' "$work/few"
printf "$job$image"'\0\200\200\200\200\200\100' >"$work/bomb" # says it holds a terabyte
spoil 'byte ' "$work/bomb"
printf '\012job-1\0\002\0029\0\0'"$image"'\0\0\0' >"$work/version"
spoil 'another version' "$work/version"
raw=$bad

write_npy "$work/double.npy" '<f8' '1, 28, 28, 1' 784 '\0\0\0\0\0\0\0\0'
write_npy "$work/shape.npy" '<f4' '1, 27, 28, 1' 756 '\0\0\0\0'
write_npy "$work/nan.npy" '<f4' '1, 28, 28, 1' 784 '\0\0\300\177'
send_rows 'a model that is not configured' --model nobody --input "=$work/shape.npy"
send_rows 'float64' --input "=$work/double.npy"
send_rows '[27,28,1]' --input "=$work/shape.npy"
send_rows 'NaN' --input "=$work/nan.npy"
send_rows "its first input is 'image'" --input "picture=tests/data/digits/samples.npy"

collect digits "$bad"
read_topic digits.dead "$bad" '%k %S %h\n' >"$work/dead.txt"
for ((i = 0; i < bad; i++)); do
    sed -n "$((i + 1))p" "$work/dead.txt" >"$work/line"
    expect "${reasons[i]}" "$work/line"
    expect "millrace.stage=decode" "$work/line"
    expect "__connect.errors.topic=digits.jobs" "$work/line"
    expect "__connect.errors.partition=0" "$work/line"
done

# Those that came as raw bytes: key, headers and value are untouched.
for ((i = 0; i < raw; i++)); do
    sed -n "$((i + 1))p" "$work/dead.txt" >"$work/line"
    expect "key-$i $(stat -c %s "$work/bad-$i") " "$work/line"
    expect 'origin=flow' "$work/line"
done
kcat -C -q -b "$bootstrap" -t digits.dead -o 3 -c 1 -D '' -f '%s' >"$work/returned"
cmp "$work/returned" "$work/noise" || fail "a dead letter's value was changed"

metric_is 1 millrace_jobs_dead_lettered_total "$bad" || fail "dead letters are not counted"
stop_worker 1
# Nothing of a job may be logged: not its id, key, headers, or what it names.
for word in job-1 spoiled- key- origin nobody picture; do
    expect_not "$word" "$work/worker-1.log"
done

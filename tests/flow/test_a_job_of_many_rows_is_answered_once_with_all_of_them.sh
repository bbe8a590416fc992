# A job of 100 rows is more than a batch holds: it is split, shares batches with jobs of one
# row, and is one result of 100 rows; with a row too many in its bytes it is a dead letter.
source tests/lib.sh

start_broker digits.{jobs:1,results:1,dead:1}
write_config "$work/worker.conf" digits
start_worker 1 "$work/worker.conf"

# Well-formed Avro by hand: an id, no model, version, deadline or headers, and one unnamed
# float32 input of [100, 28, 28, 1].
send_many() { # ID-OF-11-BYTES LENGTH-AS-PRINTF BYTES
    {
        printf '\026%s\0\0\0\0\002\0\0\010\310\001\070\070\002\0\0' "$1"
        printf '%b' "$2"
        head -c "$3" /dev/zero
        printf '\0'
    } >"$work/many"
    send_raw digits.jobs "$1" "$work/many"
}

submit digits 30
send_many many-000000 '\0200\0244\046' 313600
send_many wrong-00000 '\0200\0325\046' 316736
send_many many-000001 '\0200\0244\046' 313600
submit digits 30 --first 30
read_topic digits.results 62 '%k %S\n' >"$work/results"
"$millrace" collect --bootstrap "$bootstrap" --topic digits.results --id-prefix many- \
    --count 2 --timeout "$patience_s" --settle 0.2 --output "$work/many.jsonl"
[ "$(grep -c '"shape":\[100,10\]' "$work/many.jsonl")" -eq 2 ] ||
    fail "no result of 100 rows: $(head -c 300 "$work/many.jsonl")"
collect digits 60
read_topic digits.dead 1 '%k %h\n' >"$work/dead"
expect 'wrong-00000 ' "$work/dead"
expect 'do not make the shape [100,28,28,1]' "$work/dead"
metric_is 1 millrace_jobs_answered_total 62 || fail "jobs are not counted as jobs"
metric_is 1 millrace_batch_rows_sum 260 || fail "rows are not counted as rows"
metric_is 1 millrace_job_latency_seconds_count 62 || fail "latencies are not of jobs"
stop_worker 1

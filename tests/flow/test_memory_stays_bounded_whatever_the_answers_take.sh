# Jobs of a few bytes with answers of 1.6 MB each, which the broker refuses besides: what is
# in flight is bounded by worker.window_mb though commits are slow, so the process stays
# small, and every job has its outcome.
source tests/lib.sh

start_broker wide.{jobs:1,results:1,dead:1}
WORKER_EXTRA='threads = 1; window_mb = 64; commit_interval_ms = 10000;' MODEL_EXTRA='batch_max = 4;'
write_config "$work/worker.conf" wide
start_worker 1 "$work/worker.conf"
write_npy "$work/x.npy" '<f4' '600, 1' 600 '\0\0\0\0'
"$millrace" submit --bootstrap "$bootstrap" --topic wide.jobs --count 600 \
    --input "=$work/x.npy" --id-prefix wide-
wait_until metric_is 1 millrace_dead_letters_published_total 600
peak_kb=$(awk '/^VmHWM/ { print $2 }' "/proc/${worker_pid[1]}/status")
most_mib=400
case $millrace in */tsan/*) most_mib=2000 ;; esac # which keeps four bytes more for each
[ "$peak_kb" -lt $((most_mib << 10)) ] || fail "the process had $((peak_kb >> 10)) MiB"
echo "at most $((peak_kb >> 10)) MiB"
metric_is_over 1 process_resident_memory_bytes 0 || fail "the page does not tell"
stop_worker 1

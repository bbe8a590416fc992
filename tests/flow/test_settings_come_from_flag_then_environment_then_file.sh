# The first found counts, and the log tells what was read.
source tests/lib.sh

start_broker digits.{jobs:1,results:1,dead:1}
write_config "$work/worker.conf" digits
export MILLRACE_WORKER_THREADS=2
start_worker 1 "$work/worker.conf"
metric_is 1 millrace_compute_threads 2 || fail "the environment does not win over the file"
stop_worker 1
start_worker 1 "$work/worker.conf" --set worker.threads=3
metric_is 1 millrace_compute_threads 3 || fail "a flag does not win over the environment"
stop_worker 1
expect "worker.conf" "$work/worker-1.log"

# A worker dies in an open transaction and does not come back: whoever gets its partitions
# ends the transaction, long before it times out, and nothing is lost or doubled.  One that
# is fenced so and lives does its transaction again.
source tests/kafka/lib.sh

# The transaction's timeout may not be what the test waits for.
launch() { # NAME
    launch_worker "$1" "$work/worker.conf" --set "worker.instance=$1" \
        --set producer.transaction_timeout_ms=600000
}

count_ids() { # COUNT
    "$python" tests/kafka/count_ids.py --bootstrap "$bootstrap" \
        --topic "${prefix}digits.results" --prefix digits- --count "$1"
}

make_topics digits.{jobs:2,results:2,dead:1}
write_config "$work/worker.conf" digits
submit digits 500 --key id
export MILLRACE_FAIL_POINT=txn.commit:1
launch lost
unset MILLRACE_FAIL_POINT
wait_until gone "${worker_pid[lost]}"
launch other
collect digits 500
expect '"event":"owner_fenced"' "$work/worker-other.log"
count_ids 500

submit digits 1500 --first 500 --key id --rate 500 &
submitting=$!
background+=("$submitting")
collect digits 100 --first 500 # it is at work
"$python" - "$bootstrap" "${prefix}test-other" <<'END'
import sys
from confluent_kafka import Producer
Producer({"bootstrap.servers": sys.argv[1], "transactional.id": sys.argv[2]}).init_transactions(30)
END
wait "$submitting"
collect digits 1500 --first 500
count_ids 2000
stop_worker other

# lib.sh - what tests of whole workers share; sourced by each.
#
# A test stops at the first command that fails; what it started is killed at its end.
# shellcheck shell=bash
set -euo pipefail

millrace=${MILLRACE:?}
work=${TEST_DIR:?}
patience_s=120 # sanitizers are slow; a condition that comes ends the wait
prefix=       # of topics and the group, where tests share a broker
declare -A worker_pid=()
background=()

fail() {
    echo "FAILED: $*"
    exit 1
}

clean_up() {
    local status=$? pid
    trap - EXIT
    for pid in "${background[@]}"; do kill -CONT "$pid" 2>/dev/null || true; done
    for pid in "${background[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    exit "$status"
}
trap clean_up EXIT

# Waits until "$@" succeeds.
wait_until() {
    local deadline=$((SECONDS + patience_s))
    until "$@"; do
        if ((SECONDS >= deadline)); then fail "waited in vain: $*"; fi
        read -rt 0.05 <> <(:) || true # a pause, without a process
    done
}

expect() { # TEXT FILE
    grep -qF -- "$1" "$2" || fail "'$1' is not in $2: $(tail -n 5 "$2")"
}

expect_not() { # TEXT FILE
    ! grep -qF -- "$1" "$2" || fail "'$1' is in $2"
}

# Runs "$@" and expects exit code $1; its output goes to $work/out.
expect_exit() { # CODE COMMAND...
    local status=0
    "${@:2}" >"$work/out" 2>&1 || status=$?
    [ "$status" -eq "$1" ] || fail "exit code $status, not $1: ${*:2}: $(tail -n 5 "$work/out")"
}

# ---- broker ----

start_broker() { # TOPIC:N...
    local IFS=,
    "$millrace" broker --topics "$*" --address-file "$work/address" >"$work/broker.log" 2>&1 &
    broker_pid=$!
    background+=("$broker_pid")
    wait_until test -s "$work/address"
    bootstrap=$(<"$work/address")
}

# All that stands in a topic, or what comes of it until $2 records are there: the values'
# sizes and headers in the format of kcat.
read_topic() { # TOPIC COUNT FORMAT
    kcat -C -q -b "$bootstrap" -t "$1" -o beginning -c "$2" -f "$3" 2>>"$work/kcat.log" &
    local pid=$! status=0
    background+=("$pid")
    wait_until gone "$pid"
    wait "$pid" || status=$?
    [ "$status" -eq 0 ] || fail "kcat could not read $1"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# Sends the bytes of a file as one record.
send_raw() { # TOPIC KEY FILE [HEADER=VALUE]
    if [ -s "$3" ]; then
        kcat -P -q -b "$bootstrap" -t "$1" -p 0 -k "$2" ${4:+-H "$4"} "$3"
    else # kcat passes over empty files
        echo "$2:" | kcat -P -q -b "$bootstrap" -t "$1" -p 0 -K : ${4:+-H "$4"}
    fi
}

# ---- schema registry ----

# APICURIO, the jar of tests/registry/apicurio.sh, is run instead of our stand-in.
start_registry() { # its URL is $registry
    if [ -n "${APICURIO:-}" ]; then
        start_apicurio
        return
    fi
    "$millrace" registry --address-file "$work/url" >"$work/registry.log" 2>&1 &
    registry_pid=$!
    background+=("$registry_pid")
    wait_until test -s "$work/url"
    registry=$(<"$work/url")
}

start_apicurio() {
    local port
    port=$(free_port)
    java -Xmx400m -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$port" -jar "$APICURIO" \
        >"$work/registry.log" 2>&1 &
    registry_pid=$!
    background+=("$registry_pid")
    registry=http://127.0.0.1:$port/apis/ccompat/v7
    wait_until curl -s -f -m 20 -o /dev/null "$registry/subjects"
}

# Registers a schema and prints its id.
register_schema() { # SUBJECT SCHEMA
    jq -n --arg schema "$2" '{$schema}' |
        curl -s -m 20 -H 'Content-Type: application/json' -d @- "$registry/subjects/$1/versions" | jq .id
}

# The bytes of a hexadecimal text, which may hold blanks.
bytes() { # HEX
    printf '%b' "$(sed 's/ //g; s/../\\x&/g' <<<"$1")"
}

# ---- worker ----

# A port nobody listens on; below those that the kernel gives to clients.
free_port() {
    local port
    for ((;;)); do
        port=$((RANDOM % 20000 + 12000))
        if ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    done
    echo "$port"
}

# The models of the demo and a route for each, ROUTE_EXTRA and MODEL_EXTRA in every one.
# The embedded broker loses what transactions commit, so most tests take at_least_once;
# and it waits out the session of a member that is gone, so sessions are short.
write_config() { # FILE MODEL...
    local file=$1 model models=() routes=() IFS=,
    for model in "${@:2}"; do
        models+=("{ name = \"$model\"; path = \"$(model_path "$model")\"; ${MODEL_EXTRA:-} }")
        routes+=("{ input = \"$prefix$model.jobs\"; output = \"$prefix$model.results\";
            dead_letter = \"$prefix$model.dead\"; model = \"$model\"; ${ROUTE_EXTRA:-} }")
    done
    cat >"$file" <<END
kafka = { bootstrap_servers = "${bootstrap:-127.0.0.1:1}"; };
consumer = { session_timeout_ms = 6000; heartbeat_interval_ms = 500; };
worker = { group = "${prefix}test"; delivery = "${DELIVERY:-at_least_once}"; ${WORKER_EXTRA:-} };
http = { port = 0; };
log = { format = "json"; };
models = ( ${models[*]} );
routes = ( ${routes[*]} );
END
}

# COUNT rows for the model twofold: $work/in.csv, row.avsc of them, and scored.avsc of them
# with its answer behind.
write_rows() { # COUNT
    local fields
    awk -v rows="$1" 'BEGIN { print "name,amount,age"
        for (i = 0; i < rows; i++) printf "c%d,%d.25,%d\n", i, i % 1000, i % 60 }' >"$work/in.csv"
    field() { echo '{"name":"'"$1"'","type":["null","'"$2"'"],"default":null}'; }
    fields="$(field name string),$(field amount double),$(field age long)"
    echo '{"type":"record","name":"Row","fields":['"$fields"']}' >"$work/row.avsc"
    echo '{"type":"record","name":"Row","fields":['"$fields"',
        {"name":"y","type":{"type":"array","items":"float"}}]}' >"$work/scored.avsc"
}

# Whether each of write_rows' COUNT records stands once in FILE, whole, with its own answer.
each_came_back() { # FILE COUNT
    jq -r '[(.name[1:] | tonumber), .amount, .age, .y[0], .y[1]] | @csv' "$1" |
        awk -F, -v rows="$2" '{ n = $1; a = n % 1000 + 0.25; b = n % 60
            if (seen[n]++ || $2 != a || $3 != b || $4 != a || $5 != b) exit 1 }
        END { if (NR != rows) exit 1 }'
}

model_path() {
    if [ -f "conf/models/$1/model.onnx" ]; then
        echo "$PWD/conf/models/$1/model.onnx"
    else
        echo "$PWD/tests/data/models/$1.onnx"
    fi
}

# Starts a worker and waits until it is ready; its address is ${worker_http[NAME]}.
declare -A worker_http=()
start_worker() { # NAME CONFIG [FLAG]...
    launch_worker "$@"
    wait_until worker_is_ready "$1"
}

launch_worker() { # NAME CONFIG [FLAG]...
    local port
    port=$(free_port)
    "$millrace" worker --config "$2" --set "http.port=$port" "${@:3}" \
        >"$work/worker-$1.log" 2>&1 &
    worker_pid[$1]=$!
    background+=("$!")
    worker_http[$1]=http://127.0.0.1:$port
}

worker_is_ready() {
    if gone "${worker_pid[$1]}"; then
        fail "worker $1 has ended: $(tail -n 3 "$work/worker-$1.log")"
    fi
    [ "$(http_code "$1" readyz)" = 200 ]
}

http_code() { # WORKER PATH
    curl -s -m 20 -o "$work/http.txt" -w '%{http_code}' "${worker_http[$1]}/$2" || true
}

# The sum of all samples of a metric.
metric() { # WORKER NAME
    curl -s -m 20 "${worker_http[$1]}/metrics" |
        awk -v name="$2" 'index($1, name) == 1 && $1 ~ "^" name "([{]|$)" { sum += $NF }
            END { printf "%d", sum }'
}

metric_is() { [ "$(metric "$1" "$2")" = "$3" ]; }
metric_is_over() { [ "$(metric "$1" "$2")" -gt "$3" ]; }

# Ends well after SIGTERM.
stop_worker() { # NAME
    local status=0
    kill -TERM "${worker_pid[$1]}"
    wait_until gone "${worker_pid[$1]}"
    wait "${worker_pid[$1]}" || status=$?
    [ "$status" -eq 0 ] || fail "worker $1 ended with $status: $(tail -n 3 "$work/worker-$1.log")"
}

# ---- jobs ----

submit() { # MODEL COUNT [FLAG]...
    "$millrace" submit --bootstrap "$bootstrap" --topic "$prefix$1.jobs" \
        --input "=tests/data/$1/samples.npy" --count "$2" --id-prefix "$1-" "${@:3}"
}

# Every one of COUNT jobs is answered once.
collect() { # MODEL COUNT [FLAG]...
    "$millrace" collect --bootstrap "$bootstrap" --topic "$prefix$1.results" \
        --id-prefix "$1-" --count "$2" --timeout "$patience_s" --settle 0.2 "${@:3}"
}

# A .npy file of one repeated element.
write_npy() { # FILE DESCR SHAPE COUNT ELEMENT (as printf has it)
    local header="{'descr': '$2', 'fortran_order': False, 'shape': ($3), }" i
    {
        printf '\x93NUMPY\x01\x00v\x00%-117s\n' "$header"
        for ((i = 0; i < $4; i++)); do printf '%b' "$5"; done
    } >"$1"
}

# rows_per_s MODEL: what one thread computes here, with this build; tests that need work for
# some time ask for so many jobs.
rows_per_s() {
    "$millrace" model bench "conf/models/$1/model.onnx" --batch 16 --threads 1 --seconds 0.5 \
        --json | sed -nE 's/.*"rows_per_s":([0-9]+).*/\1/p'
}

#!/bin/bash
# kafka.sh - a real Apache Kafka for tests: fetch it, run it, hurt it.
#
# The brokers run on this machine only (127.0.0.1), in KRaft combined mode: each is broker
# and controller in one. They keep everything in one folder and need no root. The script
# reads no standard input, and sleeps only between two looks at a condition that has a
# deadline.
#
# Needs: bash, Java 17 or newer (Debian: openjdk-17-jre-headless) to run, and
# Maven (Debian: maven) only to fetch.
set -euo pipefail

usage() {
    cat <<'END'
usage: kafka.sh COMMAND [OPTION]...

  fetch             get Kafka's jars into build/kafka/libs; does nothing if they are there
  start             format and start brokers, wait until they are ready, and print
                    bootstrap=127.0.0.1:PORT,...
      --brokers N   how many (default 1, at most 9); they are numbered 1 to N
      --port P      broker K listens on P+K-1, and the next 2*N ports are used between the
                    brokers (default: free ports, picked at random)
      --advertise P,...   the ports that clients are told to use, one for each broker, for
                    tests that put a proxy in front (default: the brokers' own)
      --set K=V     one more line for every server.properties; may be repeated
  stop              stop all brokers (cleanly, and by force after 30 s); their data and
                    logs stay until the next start
  kill K            kill -9 broker K and wait until it is gone
      --signal S    send S instead; TERM is waited for, STOP and CONT are not
  restart K         start broker K again on its old data and port, and wait until it is
                    ready; stops it first if it is running
  run CLASS [ARG]...  run one of the tools in Kafka's jars, for example
                    kafka.sh run kafka.tools.DumpLogSegments --help

  --dir DIR         where start puts data, logs, pid files and DIR/env, and where the
                    other commands find them (default build/kafka/run)

DIR/env can be sourced by a shell: KAFKA_BOOTSTRAP, KAFKA_BROKERS and KAFKA_DIR. The files
of broker K are DIR/node-K/{server.properties,pid,server.log,data}.

Environment: KAFKA_VERSION takes another version than the pom's (its jars go to
build/kafka/libs-VERSION), KAFKA_START_TIMEOUT_S is the patience of start and restart
(60 seconds).
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
pom=$here/pom.xml
version=${KAFKA_VERSION:-}
libs=$root/build/kafka/libs${version:+-$version}
dir=$root/build/kafka/run
start_timeout_s=${KAFKA_START_TIMEOUT_S:-60}
stop_timeout_s=30

say() { echo "kafka.sh: $*" >&2; }
die() { say "$*"; exit 1; }
misuse() { say "$*"; usage >&2; exit 2; }

# ---- fetch ----

# The jars are there only if they came from this very pom: an edited one is fetched anew.
libs_stamp() { { echo "$version"; cat "$pom"; } | sha256sum | cut -d' ' -f1; }

cmd_fetch() {
    if [ "$(cat "$libs/.stamp" 2>/dev/null)" = "$(libs_stamp)" ]; then return; fi
    command -v mvn >/dev/null || die "fetching Kafka needs mvn: install the package maven"
    mkdir -p "$root/build/kafka"
    # Fetched aside and moved: a fetch that is cut off leaves no half-filled folder.
    local new
    new=$(mktemp -d "$root/build/kafka/fetch.XXXXXX")
    if ! mvn -q -B -f "$pom" ${version:+-Dkafka.version="$version"} \
            dependency:copy-dependencies -DincludeScope=runtime \
            -DoutputDirectory="$new" </dev/null >"$new.log" 2>&1; then
        tail -n 20 "$new.log" >&2
        rm -rf "$new" "$new.log"
        die "mvn could not fetch Kafka"
    fi
    libs_stamp >"$new/.stamp"
    chmod 755 "$new"
    rm -rf "$libs" "$new.log"
    mv "$new" "$libs"
    say "$(find "$libs" -name '*.jar' | wc -l) jars are in $libs"
}

# ---- one broker ----

node_dir() { echo "$dir/node-$1"; }

# The pid of broker $1, if it runs. A pid file can outlive its process and the number can
# be given to another one, so the command line has to name our file too.
node_pid() {
    local node pid
    node=$(node_dir "$1")
    pid=$(cat "$node/pid" 2>/dev/null) || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$node/server.properties" &&
        echo "$pid"
}

# Waits until "$@" succeeds, at most $1 seconds.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        if ((SECONDS >= deadline)); then return 1; fi
        sleep 0.05
    done
}

node_gone() { ! node_pid "$1" >/dev/null; }

# A broker says this when it has joined the cluster and serves clients.
node_started() { grep -q 'Kafka Server started' "$(node_dir "$1")/server.log"; }
node_settled() { node_started "$1" || node_gone "$1"; }

java_run() { java "$@" </dev/null; }

need_java() {
    command -v java >/dev/null ||
        die "running Kafka needs java: install the package openjdk-17-jre-headless"
}

node_launch() {
    local node
    node=$(node_dir "$1")
    # The log of an earlier life is kept, but not where node_started() would believe it.
    if [ -f "$node/server.log" ]; then cat "$node/server.log" >>"$node/server.log.old"; fi
    : >"$node/server.log"
    # A session of its own: a Ctrl-C meant for the test must not reach the brokers.
    setsid java -Xmx512m -XX:+UseSerialGC -cp "$libs/*" \
        -Dorg.slf4j.simpleLogger.showDateTime=true \
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS" \
        kafka.Kafka "$node/server.properties" \
        </dev/null >"$node/server.log" 2>&1 &
    echo $! >"$node/pid"
    disown
    # Until it is java it is still a copy of this script, and would pass for gone.
    wait_until 10 node_is_java_or_gone $! "$1" || true
}
node_is_java_or_gone() { node_pid "$2" >/dev/null || ! kill -0 "$1" 2>/dev/null; }

node_await() {
    wait_until "$start_timeout_s" node_settled "$1" || return 1
    node_started "$1"
}

not_ready() {
    local log
    log=$(node_dir "$1")/server.log
    tail -n 20 "$log" >&2
    die "broker $1 ended, or was not ready in $start_timeout_s s; see $log"
}

node_stop() {
    local pid
    pid=$(node_pid "$1") || return 0
    # A broker that a test has stopped must be woken to hear the request.
    kill -TERM "$pid" 2>/dev/null || true
    kill -CONT "$pid" 2>/dev/null || true
    if ! wait_until "$stop_timeout_s" node_gone "$1"; then
        say "broker $1 did not stop in $stop_timeout_s s: killed"
        kill -KILL "$pid" 2>/dev/null || true
        wait_until 10 node_gone "$1" || die "broker $1 (pid $pid) cannot be killed"
    fi
}

# ---- the cluster ----

nodes() { find "$dir" -maxdepth 1 -name 'node-[1-9]' 2>/dev/null | sed 's/.*-//' | sort; }

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The first of $1 free ports in a row. They lie below the range that outgoing connections
# take theirs from, so that a killed broker finds its own still free.
free_ports() {
    local try base port
    for try in {1..100}; do
        base=$((15000 + RANDOM % 15000))
        for ((port = base; port < base + $1; port++)); do
            if port_taken "$port"; then continue 2; fi
        done
        echo "$base"
        return
    done
    die "found no $1 free ports in a row"
}

# "1@HOST:PORT,2@..." or "HOST:PORT,...": $1 brokers from port $2, numbered if $3 is set.
address_list() {
    local k list=
    for ((k = 1; k <= $1; k++)); do
        list+=${list:+,}${3:+$k@}127.0.0.1:$(($2 + k - 1))
    done
    echo "$list"
}

# server.properties of broker $1 of $2; the first port is $3, the advertised port $4.
properties() {
    local replicas=$(($2 < 3 ? $2 : 3)) min_isr=$(($2 < 3 ? 1 : 2))
    local inner=$(($3 + $2)) quorum=$(($3 + 2 * $2))
    cat <<END
process.roles=broker,controller
node.id=$1
controller.quorum.voters=$(address_list "$2" "$quorum" numbered)
# Brokers talk to each other on ports of their own, so that a proxy in front of the
# clients' ports cuts clients off and not the cluster.
listeners=PLAINTEXT://127.0.0.1:$(($3 + $1 - 1)),INNER://127.0.0.1:$((inner + $1 - 1)),\
CONTROLLER://127.0.0.1:$((quorum + $1 - 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$4,INNER://127.0.0.1:$((inner + $1 - 1))
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INNER
controller.listener.names=CONTROLLER
log.dirs=$(node_dir "$1")/data/log
auto.create.topics.enable=false
default.replication.factor=$replicas
min.insync.replicas=$min_isr
offsets.topic.num.partitions=5
offsets.topic.replication.factor=$replicas
transaction.state.log.num.partitions=5
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$min_isr
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# Deleted topics give their disk space back soon: benchmarks fill gigabytes.
log.segment.delete.delay.ms=1000
END
    if [ ${#settings[@]} -gt 0 ]; then printf '%s\n' "${settings[@]}"; fi
}

# Writes the files of all brokers and formats their logs. $1 brokers from port $2.
format_nodes() {
    local k node uuid port pids=()
    # Kafka's form of a UUID; a leading '-' would look like an option.
    uuid=$(head -c 16 /dev/urandom | base64 | tr '+/' '__' | tr -d '=' | sed 's/^-/_/')
    for ((k = 1; k <= $1; k++)); do
        node=$(node_dir "$k")
        mkdir -p "$node/data"
        rm -rf "$node/data/log" "$node/server.log" "$node/server.log.old" "$node/pid"
        port=${advertise[k - 1]:-$(($2 + k - 1))}
        properties "$k" "$1" "$2" "$port" >"$node/server.properties"
        java_run -XX:TieredStopAtLevel=1 -cp "$libs/*" kafka.tools.StorageTool format \
            -t "$uuid" -c "$node/server.properties" >"$node/format.log" 2>&1 &
        pids+=($!)
    done
    for ((k = 1; k <= $1; k++)); do
        wait "${pids[k - 1]}" ||
            { cat "$(node_dir "$k")/format.log" >&2; die "broker $k: format failed"; }
    done
}

stop_nodes() {
    local k
    # Together, not one after the other: the last of a quorum would wait for the others.
    for k in $(nodes); do node_stop "$k" & done
    wait
}

# Starts $1 brokers from port $2. Status 3: a port was taken after all.
start_nodes() {
    local k
    format_nodes "$1" "$2"
    for ((k = 1; k <= $1; k++)); do node_launch "$k"; done
    for ((k = 1; k <= $1; k++)); do
        if node_await "$k"; then continue; fi
        stop_nodes
        if grep -qE 'Address already in use|BindException' "$dir"/node-*/server.log; then
            return 3
        fi
        not_ready "$k"
    done
}

cmd_start() {
    local k base try bootstrap status
    [[ $brokers =~ ^[1-9]$ ]] || misuse "--brokers $brokers: 1 to 9 are possible"
    if [ ${#advertise[@]} -gt 0 ] && [ ${#advertise[@]} -ne "$brokers" ]; then
        misuse "--advertise needs $brokers ports, one for each broker"
    fi
    need_java
    cmd_fetch
    for k in $(nodes); do
        if node_pid "$k" >/dev/null; then
            die "brokers are running in $dir; kafka.sh stop --dir $dir stops them"
        fi
    done
    # More brokers may have run here before than will now.
    for k in $(nodes); do
        if ((k > brokers)); then rm -rf "$(node_dir "$k")"; fi
    done
    mkdir -p "$dir"
    rm -f "$dir/env"
    for try in 1 2 3 4 5; do
        base=${port:-$(free_ports $((3 * brokers)))}
        status=0
        start_nodes "$brokers" "$base" || status=$?
        if [ "$status" -eq 0 ]; then break; fi
        if [ -n "$port" ] || [ "$try" -eq 5 ]; then die "ports from $base are taken"; fi
    done
    bootstrap=$(address_list "$brokers" "$base")
    if [ ${#advertise[@]} -gt 0 ]; then
        bootstrap=$(printf '127.0.0.1:%s,' "${advertise[@]}")
        bootstrap=${bootstrap%,}
    fi
    printf 'KAFKA_BOOTSTRAP=%q\nKAFKA_BROKERS=%q\nKAFKA_DIR=%q\n' \
        "$bootstrap" "$brokers" "$dir" >"$dir/env"
    echo "bootstrap=$bootstrap"
}

cmd_stop() {
    stop_nodes
    rm -f "$dir/env"
}

need_node() {
    [[ ${1:-} =~ ^[1-9]$ ]] || misuse "which broker? $2 needs a number"
    [ -f "$(node_dir "$1")/server.properties" ] || die "there is no broker $1 in $dir"
}

cmd_kill() {
    local pid
    need_node "${1:-}" kill
    pid=$(node_pid "$1") || die "broker $1 is not running"
    kill -s "$signal" "$pid"
    case $signal in
    KILL | 9 | TERM | 15)
        wait_until "$stop_timeout_s" node_gone "$1" ||
            die "broker $1 (pid $pid) lives after $stop_timeout_s s" ;;
    esac
}

cmd_restart() {
    need_node "${1:-}" restart
    need_java
    node_stop "$1"
    node_launch "$1"
    node_await "$1" || not_ready "$1"
}

cmd_run() {
    [ $# -gt 0 ] || misuse "run: which class?"
    need_java
    cmd_fetch
    # Kafka's tools report on their own; the logger would only add its start-up lines.
    java_run -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -XX:TieredStopAtLevel=1 \
        -cp "$libs/*" "$@"
}

# ---- arguments ----

command=${1:-}
[ $# -gt 0 ] && shift
brokers=1 port='' signal=KILL
advertise=() settings=() operands=()
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) usage; exit 0 ;;
    --brokers | --dir | --port | --signal | --advertise | --set)
        [ $# -gt 1 ] || misuse "$1 needs a value"
        case $1 in
        --brokers) brokers=$2 ;;
        --dir) dir=$(realpath -m "$2") ;;
        --port) port=$2 ;;
        --signal) signal=${2#SIG} ;;
        --advertise) IFS=, read -r -a advertise <<<"$2" ;;
        --set) settings+=("$2") ;;
        esac
        shift 2 ;;
    -*) misuse "unknown option $1" ;;
    *)
        operands+=("$1")
        shift
        # What follows the class is the tool's own.
        if [ "$command" = run ]; then operands+=("$@"); break; fi ;;
    esac
done

case $command in
fetch | start | stop) [ ${#operands[@]} -eq 0 ] || misuse "$command takes no operand" ;;
kill | restart) [ ${#operands[@]} -eq 1 ] || misuse "$command: of which broker?" ;;
esac
case $command in
fetch | start | stop | kill | restart | run)
    "cmd_$command" ${operands[@]+"${operands[@]}"} ;;
--help | -h | help) usage ;;
'') misuse "a command is needed" ;;
*) misuse "unknown command $command" ;;
esac

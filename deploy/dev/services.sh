#!/usr/bin/env bash
# Weaviate and Redis on this machine, for development.
#
#   deploy/dev/services.sh up [FOLDER]       start both, wait until they answer, print what to export
#   deploy/dev/services.sh down [FOLDER]     stop both; what they hold stays in FOLDER
#   deploy/dev/services.sh status [FOLDER]
#
# FOLDER (default: .services of this checkout) keeps data, logs, process ids and Weaviate's key.
# Ports can be moved: WEAVIATE_PORT, WEAVIATE_GRPC_PORT, WEAVIATE_CLUSTER_PORT (and the three after
# it), REDIS_PORT. Weaviate's gRPC port cannot be bound to one address; the key protects it.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
command=${1:-}
folder=${2:-$root/.services}
weaviate_port=${WEAVIATE_PORT:-18080}
weaviate_grpc_port=${WEAVIATE_GRPC_PORT:-15051}
weaviate_cluster_port=${WEAVIATE_CLUSTER_PORT:-17946}
redis_port=${REDIS_PORT:-16379}
wait_s=90

say() { echo "services: $*" >&2; }

command_of() {
    if [ -d /proc/self ]; then tr '\0' ' ' <"/proc/$1/cmdline"; else ps -p "$1" -o command=; fi 2>/dev/null
}

pid_of() {
    local pid
    pid=$(cat "$folder/$1.pid" 2>/dev/null) || return 1
    # A number that another program has by now is not ours.
    command_of "$pid" | grep -qE "$2" || return 1
    echo "$pid"
}

find_server() {
    local name
    for name in "$@"; do
        if [ -x "$root/.weaviate/bin/$name" ]; then echo "$root/.weaviate/bin/$name"; return; fi
        if command -v "$name"; then return; fi
    done
    return 1
}

stop() {
    local name=$1 pattern=$2 pid
    if ! pid=$(pid_of "$name" "$pattern"); then
        rm -f "$folder/$name.pid"
        return 0
    fi
    kill -TERM "$pid"
    for _ in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || { rm -f "$folder/$name.pid"; say "$name has stopped"; return 0; }
        sleep 0.1
    done
    say "$name does not end; killing it"
    kill -KILL "$pid" 2>/dev/null || true
    rm -f "$folder/$name.pid"
}

await() {
    local name=$1 answers=$2 pid
    pid=$(cat "$folder/$name.pid")
    for _ in $(seq $((wait_s * 5))); do
        if "$answers" >/dev/null 2>&1; then return 0; fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.2
    done
    say "$name did not start; the end of $folder/$name.log:"
    tail -n 5 "$folder/$name.log" >&2 || true
    return 1
}

is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

start_redis() {
    local server
    if pid_of redis "redis-server|valkey-server" >/dev/null; then say "redis runs already"; return; fi
    server=$(find_server redis-server valkey-server) || {
        say "no redis-server on PATH; install one (on Debian: sudo apt-get install redis-server)"
        return 1
    }
    is_free "$redis_port" || { say "port $redis_port is taken; set REDIS_PORT"; return 1; }
    # Redis 6 does not see what 7 and later wrote, and would start empty without a word.
    if [ -d "$folder/redis/appendonlydir" ] && "$server" --version | grep -q 'v=6'; then
        say "$folder/redis was written by Redis 7 or newer, but $server is older; put the newer one on PATH again"
        return 1
    fi
    mkdir -p "$folder/redis"
    nohup "$server" --bind 127.0.0.1 --port "$redis_port" --dir "$folder/redis" --daemonize no \
        --appendonly yes --appendfsync everysec --save "" --maxmemory-policy noeviction \
        >>"$folder/redis.log" 2>&1 </dev/null &
    echo $! >"$folder/redis.pid"
    started+=(redis)
    await redis redis_answers
}

# In subshells, so that their descriptors are closed again.
redis_answers() (
    exec 3<>"/dev/tcp/127.0.0.1/$redis_port" || exit 1
    printf 'PING\r\n' >&3
    read -r -t 2 answer <&3 && [[ $answer == +PONG* ]]
)

start_weaviate() {
    local server gossip=$weaviate_cluster_port port
    if pid_of weaviate weaviate-server >/dev/null; then say "weaviate runs already"; return; fi
    server=$(find_server weaviate-server) || {
        say "no weaviate-server; install it with deploy/dev/install-weaviate.sh"
        return 1
    }
    for port in "$weaviate_port" "$weaviate_grpc_port" "$gossip" $((gossip + 1)) $((gossip + 2)) $((gossip + 3)); do
        is_free "$port" || { say "port $port is taken; set WEAVIATE_PORT, WEAVIATE_GRPC_PORT or WEAVIATE_CLUSTER_PORT"; return 1; }
    done
    mkdir -p "$folder/weaviate"
    [ -s "$folder/weaviate.key" ] || (umask 077; head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$folder/weaviate.key")
    AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED=false AUTHENTICATION_APIKEY_ENABLED=true \
    AUTHENTICATION_APIKEY_ALLOWED_KEYS=$(cat "$folder/weaviate.key") AUTHENTICATION_APIKEY_USERS=shifu \
    AUTOSCHEMA_ENABLED=false DEFAULT_VECTORIZER_MODULE=none ENABLE_MODULES="" API_BASED_MODULES_DISABLED=true \
    DISABLE_TELEMETRY=true GO_PROFILING_DISABLE=true LOG_LEVEL=warning GOMEMLIMIT=${GOMEMLIMIT:-2GiB} \
    PERSISTENCE_DATA_PATH=$folder/weaviate CLUSTER_HOSTNAME=node1 CLUSTER_ADVERTISE_ADDR=127.0.0.1 \
    CLUSTER_BIND_ADDR=127.0.0.1 CLUSTER_GOSSIP_BIND_PORT=$gossip CLUSTER_DATA_BIND_PORT=$((gossip + 1)) \
    RAFT_BOOTSTRAP_EXPECT=1 RAFT_PORT=$((gossip + 2)) RAFT_INTERNAL_RPC_PORT=$((gossip + 3)) \
    GRPC_PORT=$weaviate_grpc_port \
        nohup "$server" --host 127.0.0.1 --port "$weaviate_port" --scheme http \
        >>"$folder/weaviate.log" 2>&1 </dev/null &
    echo $! >"$folder/weaviate.pid"
    started+=(weaviate)
    await weaviate weaviate_answers
}

weaviate_answers() (
    exec 3<>"/dev/tcp/127.0.0.1/$weaviate_port" || exit 1
    printf 'GET /v1/.well-known/ready HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
    read -r -t 2 answer <&3 && [[ $answer == *" 200 "* ]]
)

down() {
    local name
    for name in "$@"; do
        case $name in
        weaviate) stop weaviate weaviate-server ;;
        redis) stop redis "redis-server|valkey-server" ;;
        esac
    done
}

print_exports() {
    cat <<EOF
export SHIFU_WEAVIATE__URL=http://127.0.0.1:$weaviate_port
export SHIFU_WEAVIATE__GRPC_URL=http://127.0.0.1:$weaviate_grpc_port
export SHIFU_WEAVIATE__API_KEY=$(cat "$folder/weaviate.key")
export SHIFU_REDIS__URL=redis://127.0.0.1:$redis_port/0
EOF
}

case $command in
up)
    mkdir -p "$folder"
    chmod 700 "$folder"
    folder=$(cd "$folder" && pwd)
    # Whatever fails or is interrupted on the way, nothing of it is left running; what ran before is.
    started=()
    trap 'status=$?; [ "$status" = 0 ] || [ ${#started[@]} = 0 ] || { say "stopping what was started"; down "${started[@]}"; }; exit "$status"' EXIT
    trap 'exit 130' INT TERM
    start_redis
    start_weaviate
    say "both answer; logs are in $folder"
    print_exports
    ;;
down)
    down weaviate redis
    ;;
status)
    running=0
    for service in "weaviate weaviate-server" "redis redis-server|valkey-server"; do
        read -r name pattern <<<"$service"
        if pid=$(pid_of "$name" "$pattern"); then
            echo "$name: running, process $pid"
        else
            echo "$name: not running"
            running=1
        fi
    done
    exit "$running"
    ;;
*)
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

#!/usr/bin/env bash
# Runs the package `service` and sends it four times as many pictures as it can do, good,
# corrupt, crashing and hanging ones: once with a process for each picture, once with
# processes that live on. Fails if an answer is wrong, late or missing, or if something
# is left. Takes less than a minute after the build.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dir=$(mktemp -d)
pid=

fail() {
    echo "FAILED: $*" >&2
    tail -n 40 "$dir"/*.log >&2 || true
    exit 1
}

clean_up() {
    if [[ $pid ]]; then
        { kill -9 "$pid" && wait "$pid"; } 2>>"$dir/clean-up" || true
    fi
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

within() { # within SECONDS COMMAND…
    local tries=$(($1 * 20))
    shift
    until "$@"; do
        ((tries -= 1)) || fail "not in time: $*"
        sleep 0.05
    done
}

none_left() { ! ls -l /proc/[0-9]*/exe 2>>"$dir/clean-up" | grep -q " $bin/service\$"; }
has_ended() { ! kill -0 "$pid" 2>>"$dir/clean-up"; }

# run SECONDS SIGNAL ARGS…: starts the service, sends pictures, and ends it by a signal.
run() {
    local seconds=$1 signal=$2 got=0 log="$dir/service.log"
    : >"$log"
    # A group of its own: Ctrl-C reaches all of it.
    setsid "$bin/service" 127.0.0.1:0 "${@:3}" >"$log" 2>&1 </dev/null &
    pid=$!
    within 10 grep -q '^listening on ' "$log"
    address=$(sed -n 's/^listening on //p' "$log")
    echo "== ${*:3}"
    timeout 50 "$bin/load" "$address" --seconds "$seconds" || fail "the load test"
    kill -0 "$pid" || fail "the service has ended"
    case $signal in
        INT) kill -INT -- "-$pid" ;;
        *) kill -"$signal" "$pid" ;;
    esac
    within 5 has_ended
    wait "$pid" || got=$?
    [[ $got == 0 ]] || fail "exit code $got after $signal"
    grep -q '^ended$' "$log" || fail "it did not shut down"
    pid=
    within 2 none_left
    echo "ok: ${*:3}: it ends after SIG$signal, and nothing is left"
}

cargo build -p service --release
target=$(cargo metadata --format-version 1 --no-deps |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
bin=$target/release

run 8 TERM --calls 1
run 8 INT --calls 100

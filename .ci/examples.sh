#!/usr/bin/env bash
# Runs every example and asserts from outside what it did: with curl, wrk, nc,
# ps, ls and file. Takes no input; ends by itself within a few minutes.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dir=$(mktemp -d)
log=$dir/none
example=set-up
programs=()

fail() {
    echo "FAILED: $example: $*" >&2
    if [[ -s $log ]]; then
        echo "--- its output:" >&2
        tail -n 40 "$log" >&2
    fi
    exit 1
}

ok() { echo "ok: $example: $*"; }

clean_up() {
    local pid
    for pid in "${programs[@]}"; do
        { kill -9 "$pid" && wait "$pid"; } 2>>"$dir/clean-up" || true
    done
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

# within SECONDS COMMAND…: until the command succeeds, or fails with its text.
within() {
    local tries=$(($1 * 20))
    shift
    until "$@"; do
        ((tries -= 1)) || fail "not in time: $*"
        sleep 0.05
    done
}

# expect CODE NAME ARGS…: runs an example to its end; its output is in $log.
expect() {
    local code=$1 got=0
    log=$dir/$2.log
    timeout 60 "$bin/$2" "${@:3}" >"$log" 2>&1 </dev/null || got=$?
    [[ $got == "$code" ]] || fail "exit code $got, not $code: ${*:2}"
}

# start NAME ARGS…: a server in the background; sets pid, log and port.
start() {
    log=$dir/$1.log
    : >"$log"
    "$bin/$1" "${@:2}" >"$log" 2>&1 </dev/null &
    pid=$!
    programs+=("$pid")
    within 10 grep -q '^listening on ' "$log"
    port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$log")
}

stop() {
    { kill "$pid" && wait "$pid"; } 2>>"$dir/clean-up" || true
}

# says PATTERN: the example's output has such a line.
says() { grep -Eq -- "$1" "$log" || fail "it does not say: $1"; }

# processes PATTERN: the pids of those whose title matches.
processes() { ps -e -o pid=,args= | awk -v pattern="$1" '$0 ~ "zygote: " pattern { print $1 }'; }

none_left() { [[ -z $(processes "$1") ]]; }

no_zombie_under() {
    [[ -z $(ps -e -o pid=,ppid=,stat= | awk -v root="$1" '
        { parent[$1] = $2; zombie[$1] = $3 ~ /^Z/ }
        END {
            for (pid in zombie)
                if (zombie[pid])
                    for (up = pid; up > 1; up = parent[up])
                        if (parent[up] == root) print pid
        }') ]]
}

for tool in awk cargo curl file nc ps sed strace timeout wrk; do
    command -v "$tool" >>"$dir/tools" || fail "$tool is not installed"
done

cargo build -p thumbnails --release
cargo build -p zygote --release --examples --features confine
target=$(cargo metadata --format-version 1 --no-deps |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
bin=$target/release

# Should the example's own limit not hold, the bomb ends here.
ulimit -v 16000000

# ---------------------------------------------------------------------------
example=thumbnails

log=$dir/readme.log
timeout 120 cargo run --release -p thumbnails >"$log" 2>&1 </dev/null ||
    fail "the README's command fails"
says '^26 thumbnails with [0-9]+ workers in .*, 10 pictures failed$'
says '^  clouds-crash.ppm +the decoder was killed by SIGABRT'
says '^  sea-hang.ppm +took more than 10 s$'
says '^  dunes-bomb.ppm +took more than 512 MB of memory$'
sheet=$(sed -n 's/^contact sheet: *//p' "$log")
[[ $(file -b "$sheet") == PNG\ image\ data* ]] || fail "no contact sheet in $sheet"
ok "the README's command survives a crash, a hang and a bomb, and makes a contact sheet"

[[ -z $(tr -cd '\r\033' <"$log") ]] || fail "draws a progress bar into a file"
ok "the progress bar is silent where there is no terminal"

expect 0 thumbnails --out "$dir/all" --timeout 5 --memory 100
says '^26 thumbnails .*, 10 pictures failed$'
says '^  sea-hang.ppm +took more than 5 s$'
says '^  dunes-bomb.ppm +took more than 100 MB of memory$'
ok "the limits are those that were asked for"

for picture in "$dir"/all/sample/*; do
    name=${picture##*/}
    if grep -q "^  $name " "$log"; then
        [[ ! -e $dir/all/$name.png ]] || fail "$name has failed and has a thumbnail"
    else
        [[ $(file -b "$dir/all/$name.png") == PNG\ image\ data* ]] || fail "$name got lost"
    fi
done
ok "every picture is either done or reported by name"

within 2 none_left thumbnails
ok "no worker is left"

mkdir "$dir/good"
for picture in "$dir"/all/sample/*; do
    case $picture in
        *-corrupt.* | *-truncated.* | *-empty.* | *-renamed.*) ;;
        *-crash.* | *-hang.* | *-bomb.*) ;;
        *) cp "$picture" "$dir/good" ;;
    esac
done
expect 0 thumbnails "$dir/good" --out "$dir/from-good" --workers 4
says '^26 thumbnails with 4 workers in .*, 0 pictures failed$'
ok "exit code 0 for a directory where all is well"
expect 1 thumbnails "$dir/good" --out "$dir/injected" --timeout 5 --memory 100 \
    --inject crash --inject hang --inject bomb --inject panic
says '^22 thumbnails .*, 4 pictures failed$'
says '^  [^ ]+ +the decoder was killed by SIGABRT'
says '^  [^ ]+ +took more than 5 s$'
says '^  [^ ]+ +took more than 100 MB of memory$'
says '^  [^ ]+ +.*this panic was injected'
ok "a crash, a hang, a bomb and a panic cost one picture each"
expect 1 thumbnails "$dir/all/sample" --out "$dir/from-all"
says '^26 thumbnails .*, 10 pictures failed$'
for kind in agate-corrupt.png clouds-crash.ppm clouds-truncated.bmp dunes-bomb.ppm \
    lights-corrupt.gif nebula-truncated.png planet-truncated.jpg ridges-empty.jpg sea-hang.ppm \
    sea-renamed.jpg; do
    says "^  $kind +[^ ]"
done
ok "exit code 1, names and reasons for a directory with broken pictures"

# The README's command has built it without.
cargo build -p thumbnails --release --features confine
# intrude TEXT ARGS…: a hostile picture among good ones; the kernel's view of it
# is in $dir/trace.
intrude() {
    local text=$1 got=0
    shift
    log=$dir/intrude.log
    rm -f "$dir"/trace*
    # A file for each process: no line is cut in two.
    timeout 120 strace -ff -qq -e trace=openat,socket,execve -e signal=none -o "$dir/trace" \
        "$bin/thumbnails" "$dir/good" --out "$dir/intruded" --inject intrude "$@" \
        >"$log" 2>&1 </dev/null || got=$?
    [[ $got == 1 ]] || fail "exit code $got"
    cat "$dir"/trace.* >"$dir/trace"
    says '^25 thumbnails .*, 1 pictures failed$'
    says "$text"
}
intrude 'took over: got /etc/passwd; got a socket; got a program$'
grep -Eq 'openat.*"/etc/passwd".* = [0-9]+$' "$dir/trace" || fail "it did not read /etc/passwd"
grep -Eq 'socket\(AF_INET.* = [0-9]+$' "$dir/trace" || fail "it opened no socket"
grep -Eq 'execve\("/bin/true".* = 0$' "$dir/trace" || fail "it started no program"
ok "without --confine a hostile picture reads, opens and starts what it likes"
none="Operation not permitted \(os error 1\)"
intrude "took over: no /etc/passwd: $none; no a socket: $none; no a program: $none\$" --confine
for call in openat.*\"/etc/passwd\" 'socket\(AF_INET'; do
    grep -Eq "$call.* = -1 EPERM" "$dir/trace" || fail "it did not even try: $call"
    ! grep -Eq "$call.* = [0-9]+$" "$dir/trace" || fail "it could: $call"
done
! grep -q /bin/true "$dir/trace" || fail "it started a program"
ok "with --confine it gets nothing of that, and the rest of the sheet is made"
expect 2 thumbnails "$dir/nowhere"
ok "exit code 2 for a directory that does not exist"

# ---------------------------------------------------------------------------
example=prefork
bin=$target/release/examples

start prefork --workers 4
workers() { processes "prefork::serve of $pid\$"; }
four_workers() { [[ $(workers | wc -l) == 4 ]]; }
within 5 four_workers
first=$(workers)
ok "ps shows four workers"

answer=$(curl -sS -m 5 "http://127.0.0.1:$port/")
[[ $answer =~ ^hello\ from\ worker\ ([0-9]+)$ ]] || fail "curl got: $answer"
grep -qx "${BASH_REMATCH[1]}" <<<"$first" || fail "no such worker: $answer"
ok "curl is answered by one of them"

sockets() { find "/proc/$1/fd" -lname 'socket:*' | wc -l; }
wrk_errors() {
    sed -n 's/.*connect \([0-9]*\), read \([0-9]*\), write \([0-9]*\), timeout \([0-9]*\)/\1 + \2 + \3 + \4/p' "$1"
}
wrk -t 2 -c 16 -d 2s "http://127.0.0.1:$port/" >"$dir/wrk"
requests=$(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' "$dir/wrk")
((requests > 1000)) || fail "only $requests requests in 2 s"
[[ -z $(wrk_errors "$dir/wrk") ]] || fail "wrk had errors: $(wrk_errors "$dir/wrk")"
grep -q 'Non-2xx' "$dir/wrk" && fail "wrk got other answers than 200"
ok "wrk: $requests requests in 2 s, no error"

declare -A idle own
for worker in $first; do
    idle[$worker]=$(sockets "$worker")
done
wrk -t 2 -c 32 -d 3s "http://127.0.0.1:$port/" >"$dir/wrk" &
client=$!
programs+=("$client")
sleep 1
victim=
for worker in $first; do
    own[$worker]=$(($(sockets "$worker") - idle[$worker]))
    ((own[$worker] <= own[${victim:-$worker}])) || victim=$worker
    victim=${victim:-$worker}
done
((own[$victim] > 0)) || fail "no worker has a connection"
kill -9 "$victim"
wait "$client"
lost=$(($(wrk_errors "$dir/wrk" || true) + 0))
((lost <= own[$victim])) || fail "$lost errors, but the worker had ${own[$victim]} connections"
grep -q 'Non-2xx' "$dir/wrk" && fail "wrk got other answers than 200"
ok "a worker killed under load: $lost errors, it had ${own[$victim]} of 32 connections"

within 2 four_workers
workers | grep -qx "$victim" && fail "$victim still lives"
says "^worker $victim was killed by SIGKILL, [0-9]+ accepts$"
curl -sS -m 5 -o "$dir/curl" "http://127.0.0.1:$port/"
ok "it was replaced, and curl is answered"

{ kill -9 "$pid" && wait "$pid"; } 2>>"$dir/clean-up" || true
within 2 none_left "prefork::serve of $pid\$"
ok "the program killed: no worker is left"

# ---------------------------------------------------------------------------
example=confined

printf 'two words\ninclude /etc/passwd\n' >"$dir/text"
expect 0 confined "$dir/text"
says '^the text: 4 words$'
says '^/etc/passwd: Operation not permitted'
ok "a confined worker counts what it was given and opens nothing"
expect 0 confined "$dir/text" --read /etc
says "^/etc/passwd: $(wc -w </etc/passwd) words$"
expect 0 confined "$dir/text" --read "$dir"
says '^/etc/passwd: Permission denied'
ok "what it may read it can read, and nothing beside"
expect 1 confined "$dir/text" --read "$dir/nowhere"
says "confine.*$dir/nowhere.: No such file"
ok "a path that does not exist is named"

# ---------------------------------------------------------------------------
example=echo_raw

expect 0 echo_raw
for id in 1 2 3; do
    says "^pid [0-9]+: worker $id, shout: HELLO \(for worker $id only\)$"
    says "^pid [0-9]+: worker $id, shout: OCTETS ARE OCTETS \(for worker $id only\)$"
    says "^worker $id, pid [0-9]+: 2 lines$"
done
[[ $(sed -n 's/^pid \([0-9]*\):.*/\1/p' "$log" | sort -u | wc -l) == 3 ]] || fail "not three processes"
ok "three workers answer with what each was sent before and after the fork"
says '^as expected: .*ecco'
ok "a name that does not exist is an error in the program"

# ---------------------------------------------------------------------------
example=redirect

expect 3 redirect "$dir/out" sh -c 'echo to stdout; echo to stderr >&2; exit 3'
[[ $(<"$dir/out") == "to stdout" ]] || fail "the file has: $(<"$dir/out")"
says '^stderr: to stderr$'
says '^the program exited with code 3$'
ok "stdout is in the file, stderr came through the socket, exit code 3"
expect 0 redirect "$dir/out" ls /proc/self/fd
[[ $(tr '\n' ' ' <"$dir/out") == "0 1 2 3 " ]] || fail "open: $(tr '\n' ' ' <"$dir/out")"
ok "the program has 0, 1, 2 and no other descriptor"
expect 128 redirect "$dir/out" sh -c 'kill -9 $$'
says 'SIGKILL'
ok "a signal is told by name"
expect 127 redirect "$dir/out" /nowhere/program
says 'cannot execute the program: No such file'
ok "what cannot be executed is told with the reason"

# ---------------------------------------------------------------------------
example=command

: >"$dir/lock"
expect 0 command --lock "$dir/lock" 'echo one' 'echo two >&2; echo $((1 + 1))'
says '^echo one: exit status: 0: one$'
says ': exit status: 0: 2$'
ok "runs commands side by side and collects their output"
expect 1 command --seconds 1 'echo fine' 'exit 3' 'sleep 61 & sleep 62'
says '^exit 3: exit status: 3: *$'
says '^sleep 61 & sleep 62: took too long, killed$'
none_sleeps() { ! pgrep -f 'sleep 6[12]' >/dev/null; }
within 2 none_sleeps
ok "one that takes too long is killed with all it has started"
expect 1 command --lock "$dir/nowhere" 'echo never'
grep -q 'hold_lock' "$log" || fail "does not say what failed before the program"
ok "what fails before the program is said"

# ---------------------------------------------------------------------------
example=launcher

mkdir "$dir/touched"
start launcher --dir "$dir/touched" --threads 4
(($(ls "/proc/$pid/task" | wc -l) >= 5)) || fail "the program should have threads by now"
send() { printf '%s' "$1" | nc -u -w 1 127.0.0.1 "$port"; }
[[ $(send hello.txt) == "created $dir/touched/hello.txt" ]] || fail "no answer"
[[ -f $dir/touched/hello.txt ]] || fail "no hello.txt"
ok "nc -u sends a name, the file appears"

senders=()
for n in {1..20}; do
    send "many-$n" >"$dir/sent-$n" &
    senders+=("$!")
done
wait "${senders[@]}"
[[ $(ls "$dir/touched" | grep -c '^many-') == 20 ]] || fail "$(ls "$dir/touched")"
ok "20 at a time"

[[ $(send ../evil) == refused:* ]] || fail "../evil was not refused"
[[ $(send ..) == refused:* ]] || fail ".. was not refused"
[[ ! -e $dir/evil && $(ls "$dir/touched" | wc -l) == 21 ]] || fail "more files than names"
ok "paths are refused"
within 1 no_zombie_under "$pid"
ok "no zombie"
stop
within 2 none_left ".* of $pid\$"
ok "nothing is left of it"

# ---------------------------------------------------------------------------
example=per_connection

start per_connection --fail-every 3
get() { curl -sS -m 10 -o "$dir/answer-$1" -w '%{http_code}' "http://127.0.0.1:$port/"; }
codes=
for n in {1..9}; do
    codes+="$(get "$n") "
done
[[ $codes == "200 200 503 200 200 503 200 200 503 " ]] || fail "curl got $codes"
ok "curl: $codes"
says '^connection 3: .*RLIMIT_NOFILE'
ok "the reason is told"
grep -qx 'no process for this connection' "$dir/answer-3" || fail "$(<"$dir/answer-3")"
[[ $(cat "$dir"/answer-[124578] | sed -n 's/^connection [0-9]*, worker //p' | sort -u | wc -l) == 6 ]] ||
    fail "not a process for each connection"
ok "each connection was answered by a process of its own"

fds=$(ls "/proc/$pid/fd" | wc -l)
clients=()
for n in {10..39}; do
    get "$n" >"$dir/code-$n" &
    clients+=("$!")
done
wait "${clients[@]}"
[[ $(cat "$dir"/code-* | grep -o 200 | wc -l) == 20 ]] || fail "of 30 not 20 got 200"
[[ $(cat "$dir"/code-* | grep -o 503 | wc -l) == 10 ]] || fail "of 30 not 10 got 503"
ok "30 at a time"
same_fds() { (($(ls "/proc/$pid/fd" | wc -l) <= fds)); }
within 2 same_fds
ok "the program keeps no connection"
within 1 no_zombie_under "$pid"
ok "no zombie"
stop
within 2 none_left ".* of $pid\$"
ok "nothing is left of it"

# ---------------------------------------------------------------------------
example=preloaded

log=$dir/preloaded.log
: >"$log"
mkfifo "$dir/fifo"
"$bin/preloaded" --pause >"$log" 2>&1 <"$dir/fifo" &
pid=$!
programs+=("$pid")
exec 9>"$dir/fifo"
within 120 grep -q '^press Enter' "$log"
readers=$(processes "preloaded::read of $pid\$")
[[ $(wc -l <<<"$readers") == 50 ]] || fail "$(wc -l <<<"$readers") workers"
rss=0 pss=0
for reader in $readers; do
    rss=$((rss + $(awk '/^Rss:/ { print $2 }' "/proc/$reader/smaps_rollup")))
    pss=$((pss + $(awk '/^Pss:/ { print $2 }' "/proc/$reader/smaps_rollup")))
done
((rss > 50 * 190 * 1024)) || fail "the workers have read less than the table: Rss $rss kB"
((pss < 300 * 1024)) || fail "the table is not shared: Pss $pss kB"
ok "50 workers have $((rss / 1024)) MB mapped and take $((pss / 1024)) MB"
says "^ *total +[0-9]+ +[0-9]+ +[0-9]+$"
echo >&9
exec 9>&-
wait "$pid" || fail "exit code $?"
within 2 none_left ".* of $pid\$"
ok "it ends, and nothing is left of it"

echo "all examples are all right"

#!/usr/bin/env bash
# The black-box sweep: one spawn and join, once for every system call that its
# processes make; that call kills its process, or fails. Whatever happens, the
# program ends in time with the right result or a typed error, nothing crashes
# and no process is left. Needs strace.
#
#     .ci/long/sweep.sh [early|executed]…
#
# SWEEP_EVERY=10 tries every tenth case. strace counts the calls of each process
# for itself, so a case may hit the program and its processes alike; those that
# the program would not live to see are reached by attaching to a template that
# waits.
set -euo pipefail
cd "$(dirname "$0")/../.."

every=${SWEEP_EVERY:-1}
limit=20
faults=(signal=KILL error=ENOMEM error=EMFILE error=EPERM error=ENOSYS error=EAGAIN)
# The end of a process, which cannot fail; what strace begins with; and `poll`,
# which is Rust's alone here: its start-up looks at 0–2 with it, or aborts.
never='^(execve|exit|exit_group|rt_sigreturn|restart_syscall|poll) '
# Crashes before `main` that are not ours: the C library's and Rust's start-up
# give up without these, with a text of their own or none.
theirs='fatal runtime error: assertion failed: signal\(libc::SIGPIPE|failed to allocate an alternative stack|cannot set up thread-local|failed to set up alternative stack guard page|error while loading shared libraries|cannot enable executable stack|unexpected error during fd check|cannot apply additional memory protection'
# What the library calls first in each process. One that crashes before is still
# in the hands of the loader.
begun='socketpair,getsockopt,close_range'

here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cases=0 findings=0 seen=0
trace=$here/trace out=$here/out err=$here/err

# The first crash of a process after it had begun.
crashed() {
    awk -v begun="^(${begun//,/|})[(]" '
        $2 ~ begun { ours[$1] = 1 }
        /(---|killed by) SIG(SEGV|ABRT|BUS|ILL|FPE|SYS|PIPE|TRAP)/ && ours[$1] { print; exit }
    ' "$trace"
}

# Every call of the traced run as "CALL TIMES", the most of any one process.
calls() {
    sed -En 's/^([0-9]+) +([a-z_0-9]+)\(.*/\1 \2/p' "$trace" | sort | uniq -c |
        awk '{ if ($1 > most[$3]) most[$3] = $1 } END { for (call in most) print call, most[call] }' | sort
}

finding() {
    findings=$((findings + 1))
    printf 'FINDING %s: %s\n' "$1" "$2"
    sed 's/^/    out: /' "$out" | tail -n 3
    sed 's/^/    err: /' "$err" | tail -n 3
}

# check NAME FAULT CODE SESSION: what became of a case.
check() {
    local name=$1 fault=$2 code=$3 session=$4 left
    if [ "$code" = 124 ]; then
        finding "$name" "not done after $limit s"
    elif ! grep -Eq "$theirs" "$err"; then
        if grep -q panicked "$err"; then
            finding "$name" "a panic"
        elif [ -n "$(crashed)" ]; then
            finding "$name" "a crash: $(crashed)"
        elif grep -q '^result' "$out" && ! grep -qx 'result 42' "$out"; then
            finding "$name" "a wrong result"
        else
            case $code:$(grep -Eo '^(result|error)' "$out" || true):$fault in
                0:result:* | 1:error:*) ;;
                # The program itself was hit: it says nothing, or what it said
                # could not be written; the loader gives up with 127.
                137:*:signal=KILL | [01]::error=* | 127::error=*) ;;
                # The loader crashed.
                1[0-9][0-9]::error=*) ;;
                *) finding "$name" "ended with $code" ;;
            esac
        fi
    fi
    # What has ended and is not reaped yet is init's.
    left=$(ps -o pid=,stat=,args= -s "$session" | awk '$2 !~ /^Z/' || true)
    if [ -n "$left" ]; then
        finding "$name" "left: $left"
        ps -o pid= -s "$session" | xargs -r kill -9 2>/dev/null || true
    fi
}

# started NAME CALL FAULT N: the whole run under strace.
started() {
    local name=$1 call=$2 fault=$3 n=$4 code=0 session
    setsid timeout -k 1 "$limit" strace -f -qq -o "$trace" -e "trace=$call,$begun" \
        -e "inject=$call:$fault:when=$n" "$program" >"$out" 2>"$err" </dev/null &
    session=$!
    wait "$session" 2>/dev/null || code=$?
    check "$name" "$fault" "$code" "$session"
}

# attached NAME TRACE-OPTIONS…: from when the template and its stock wait.
attached() {
    local name=$1 fault=$2 code=0 session template pids tracer pid
    shift 2
    rm -f "$here/line"
    mkfifo "$here/line"
    setsid timeout -k 1 "$limit" "$program" wait >"$out" 2>"$err" <"$here/line" &
    session=$!
    exec 9>"$here/line"
    until template=$(sed -n 's/^template //p' "$out") && [ -n "$template" ]; do sleep 0.005; done
    # The one that goes into stock is asked for by now.
    sleep 0.01
    pids=(-p "$template")
    for pid in $(ps -o pid= --ppid "$template"); do pids+=(-p "$pid"); done
    # Emptied now: what the last case has left would count until strace comes.
    : >"$here/attached"
    strace -f -o "$trace" "$@" "${pids[@]}" 2>"$here/attached" &
    tracer=$!
    until [ "$(grep -c attached "$here/attached")" -ge $((${#pids[@]} / 2)) ]; do sleep 0.002; done
    echo >&9
    exec 9>&-
    wait "$session" 2>/dev/null || code=$?
    wait "$tracer" 2>/dev/null || true
    # Here the program is never hit, so it must say how it went.
    check "$name" none "$code" "$session"
}

# due CALL FAULT: whether this case is one that is tried. `brk` cannot fail by an errno: it
# gives the break as it is, and glibc takes any other number for a new one.
due() {
    [[ $1 = brk && $2 = error=* ]] && return 1
    seen=$((seen + 1))
    [ $((seen % every)) = 0 ] || return 1
    cases=$((cases + 1))
}

sweep() {
    local template=$1 call most n fault features=()
    [ "$template" = early ] && features=(--features early)
    cargo build --quiet -p smoke --bin once --target-dir "target/sweep-$template" "${features[@]}"
    program=$PWD/target/sweep-$template/debug/once

    strace -f -qq -o "$trace" "$program" >"$out"
    calls | grep -Ev "$never" >"$here/calls" || true
    while read -r call most; do
        for ((n = 1; n <= most; n++)); do
            for fault in "${faults[@]}"; do
                due "$call" "$fault" || continue
                started "$template, $call $n $fault" "$call" "$fault" "$n"
            done
        done
    done <"$here/calls"

    # A call may be in progress when strace comes: then it is not counted.
    attached "$template, attached" none
    calls | grep -Ev "$never" >"$here/calls" || true
    while read -r call most; do
        for ((n = 1; n <= most; n++)); do
            for fault in "${faults[@]}"; do
                due "$call" "$fault" || continue
                attached "$template, attached, $call $n $fault" "$fault" \
                    -e "trace=$call,$begun" -e "inject=$call:$fault:when=$n"
            done
        done
    done <"$here/calls"
}

[ $# -gt 0 ] || set -- early executed
for template; do
    sweep "$template"
    printf "    after %s: %d cases, %d findings\n" "$template" "$cases" "$findings"
done
printf 'sweep: %d cases, %d s, %d findings\n' "$cases" "$SECONDS" "$findings"
[ "$findings" = 0 ]

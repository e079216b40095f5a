#!/usr/bin/env bash
# What developers hold programs with: a program with a template must run under
# each of these tools as it does alone, and end. Takes no input; tools that are
# not there are named and left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export CARGO_TERM_COLOR=never RUST_BACKTRACE=0
cases=0 findings=0
directory=${CARGO_TARGET_DIR:-target}/tools
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
log=$scratch/log

# has TOOL COMMAND…: whether it is there and can do something here at all.
has() {
    local tool=$1
    shift
    command -v "$tool" >/dev/null || { echo "$tool: not tried, it is not installed"; return 1; }
    timeout 60 "$@" >"$log" 2>&1 || { echo "$tool: not tried, it does not work here"; return 1; }
}

# holds NAME PATTERN COMMAND…: it ends in time, by itself, and says that; or the
# program says it that the tool has let go.
holds() {
    local name=$1 pattern=$2
    shift 2
    cases=$((cases + 1))
    if timeout -k 5 120 "$@" >"$log" 2>&1 </dev/null && said "$pattern"; then
        echo "$name: ok"
    else
        findings=$((findings + 1))
        echo "FINDING $name"
        tail -n 20 "$log"
    fi
}

said() { # said PATTERN: within half a minute
    local n
    for n in {1..300}; do
        ! grep -aqE "$1" "$log" || return 0
        sleep 0.1
    done
    return 1
}

for way in executed early; do
    cargo build -q -p smoke --bin smoke --features "${way/executed/}" --target-dir "$directory"
    cp "$directory/debug/smoke" "$scratch/$way"
    cargo build -q -p "startup_${way/executed/linked}" --target-dir "$directory"
    cp "$directory/debug/startup_${way/executed/linked}" "$scratch/main_$way"
done
passed='^smoke \(.*\): [0-9]+ passed, 0 failed'

# A list of tests is a list of tests, and nobody waits for anything.
tests=$(cargo test -p zygote --all-features --test early --no-run 2>&1 | sed -n 's/.*(\(.*early-[^)]*\)).*/\1/p')
cases=$((cases + 1))
if timeout 20 "$tests" --list >"$scratch/out" 2>"$scratch/err" && [ ! -s "$scratch/err" ] &&
    grep -q ': test$' "$scratch/out" && ! grep -vE ': test$|^$|tests?, [0-9]+ benchmarks$' "$scratch/out"; then
    echo "cargo test -- --list: ok"
else
    findings=$((findings + 1))
    echo "FINDING cargo test -- --list"
fi

for way in executed early; do
    program=$scratch/$way
    if has strace strace -f true; then
        holds "strace -f ($way)" "$passed" strace -f -qq -o "$scratch/trace" "$program"
    fi
    if has gdb gdb -nx -batch -ex run --args true; then
        for follow in parent child; do
            # With `child` it lets the program go. At its own end it kills what
            # it holds, a template perhaps: then the program needs another, and
            # what was just asked of the first fails. Nothing may hang.
            [ $follow = parent ] && pattern=$passed || pattern='^smoke \(.*\): 2[0-9] passed'
            holds "gdb, following the $follow ($way)" "$pattern" gdb -nx -batch \
                -iex "set debuginfod enabled off" -ex "set pagination off" \
                -ex "set follow-fork-mode $follow" -ex "set detach-on-fork on" \
                -ex "handle SIGSEGV SIGABRT SIGURG nostop noprint pass" \
                -ex run -ex "info inferiors" --args "$program"
        done
    fi
    if has perf perf stat -e task-clock true; then
        holds "perf stat ($way)" 'task-clock' perf stat -e task-clock "$program"
    fi
    if has ltrace ltrace -c true; then
        holds "ltrace ($way)" . ltrace -f -c -o "$scratch/calls" "$scratch/main_$way"
    fi
    if has valgrind valgrind true; then
        # The program's side: it knows no pidfd, so there is no template.
        holds "valgrind ($way)" 'ERROR SUMMARY: 0 errors' valgrind "$scratch/main_$way"
    fi
    has rr rr record -n true || continue
    holds "rr ($way)" . rr record -n "$scratch/main_$way"
done

echo "tools: $cases cases, $SECONDS s, $findings findings"
[ $findings = 0 ]

#!/usr/bin/env bash
# Ten thousand idle workers at once, or as many as the limit of descriptors
# allows; unoptimised and optimised. Wants a quiet machine: they must all be gone
# within five seconds. Takes no input.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export CARGO_TERM_COLOR=never RUST_BACKTRACE=0
export ZYGOTE_IDLE_WORKERS=${ZYGOTE_IDLE_WORKERS:-10000}
ulimit -S -n "$(ulimit -H -n)"
cases=0 findings=0

log=$(mktemp)
trap 'rm -f "$log"' EXIT

run() { # run PROFILE TEST NAME
    cases=$((cases + 1))
    if ! cargo test -q --profile "$1" -p zygote --all-features --test "$2" -- \
        --exact "$3" --nocapture >"$log" 2>&1; then
        findings=$((findings + 1))
        echo "FINDING $1 $3"
        tail -n 30 "$log"
    fi
    grep -aE 'workers: |KiB' "$log" | sed "s/^/$1: /" || true
}

for profile in dev release; do
    run $profile scale many_idle_workers_of_an_early_template
    run $profile scale many_idle_workers_of_an_executed_template
    run $profile scale at_the_limit_of_descriptors_an_error_says_so_and_all_can_be_used
done

echo "load: $(cut -d ' ' -f 1 /proc/loadavg)"
echo "scale: $cases cases, $SECONDS s, $findings findings"
[ $findings = 0 ]

#!/usr/bin/env bash
# Memory errors in the program and in what it forks, data races in the program.
set -euo pipefail
cd "$(dirname "$0")/../.."
rustup +nightly component add rust-src >/dev/null 2>&1 || {
    echo "sanitizers: the nightly toolchain or its component rust-src cannot be installed" >&2
    exit 1
}
seconds=${ZYGOTE_RACE_SECONDS:-60}
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
target=$(rustc -vV | sed -n 's/^host: //p')
# Every process writes what it finds into a file of its own.
options="log_path=$log/finding:exitcode=66:handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigill=0:handle_sigfpe=0"
# A process that leaves by `_exit` has leaked all it had. And locals must stand on
# the stack: the early template goes on below one, which the sanitizer would have
# put elsewhere.
export ASAN_OPTIONS="$options:detect_leaks=0:detect_stack_use_after_return=0" TSAN_OPTIONS="$options:halt_on_error=0"
failed=0

# with SANITIZER COMMAND …: a cargo command; what it builds for itself is shared.
with() {
    local name=$1 command=$2
    shift 2
    RUSTFLAGS="-Zsanitizer=$name" cargo +nightly "$command" \
        --target "$target" --target-dir target/sanitizers "$@"
}

# verdict NAME CODE CASES: one line, and what was found.
verdict() {
    local findings=0
    if compgen -G "$log/finding*" >/dev/null; then
        head -n 200 "$log"/finding*
        findings=$(grep -c '^SUMMARY' "$log"/finding* | awk -F: '{ n += $NF } END { print n }')
    fi
    if [ "$2" != 0 ] || [ "$findings" != 0 ] || [ "${3:-0}" = 0 ]; then
        tail -n 60 "$log/out"
        failed=1
    fi
    echo "$1: ${3:-0} cases, $SECONDS s, $findings findings$([ "$2" = 0 ] || echo ", exit code $2")"
    rm -f "$log"/finding*
}

# address NAME WHAT ARGUMENT …: a test program of this crate.
address() {
    local name=$1 what=$2 code=0
    shift 2
    SECONDS=0
    # shellcheck disable=SC2086 # two words
    with address test -p zygote --all-features $what -- "$@" >"$log/out" 2>&1 || code=$?
    verdict "address sanitizer, $name" "$code" \
        "$(sed -n 's/^test result: .* \([0-9]*\) passed.*/\1/p' "$log/out" | head -n 1)"
}

# A program without an early template, with which it was not tried: a sanitizer
# with a thread of its own would have the template refused. The standard library
# is built, too: a race through a lock of it is none.
thread() {
    local code=0
    SECONDS=0
    { with thread build -Zbuild-std -p smoke --bin racing &&
        "target/sanitizers/$target/debug/racing" "$seconds"; } >"$log/out" 2>&1 || code=$?
    verdict "thread sanitizer" "$code" "$(sed -n 's/^\([0-9]*\) workers of .*/\1/p' "$log/out")"
}

address "unit tests" --lib
address hostile "--test hostile"
# What confines a worker forbids what the sanitizer does, a limit of the address
# space leaves it no room, and it keeps freed memory, which two tests count.
address early "--test early" --skip confine --skip every_limit_is_as_said --skip without_memory \
    --skip a_launcher_keeps_nothing --skip is_shared_by_all_and_copied_for_none
thread
exit $failed

#!/usr/bin/env bash
# The decoders with what a fuzzer makes up: ZYGOTE_FUZZ_SECONDS for each target.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${ZYGOTE_FUZZ_SECONDS:-300}
command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz
# Coverage and the address sanitizer are options that stable Rust does not show.
cargo +nightly --version >/dev/null 2>&1 && export RUSTUP_TOOLCHAIN=nightly || export RUSTC_BOOTSTRAP=1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in frame arguments; do
    # What it finds worth keeping goes beside the seeds, not into them.
    found=fuzz/target/corpus/$target
    mkdir -p "$found"
    cargo fuzz build "$target" >"$log" 2>&1 || { cat "$log"; exit 1; }
    if ! nice cargo fuzz run "$target" "$found" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "fuzz $target: a finding, see fuzz/artifacts/$target"
        exit 1
    fi
    cases=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    [ "${cases:-0}" -gt 1000 ] || { tail -n 60 "$log"; echo "fuzz $target did not run"; exit 1; }
    echo "fuzz $target: $cases cases, $seconds s, 0 findings"
done

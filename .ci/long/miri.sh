#!/usr/bin/env bash
# The tests of what is pure, in an interpreter that sees undefined behaviour.
set -euo pipefail
cd "$(dirname "$0")/../.."
rustup +nightly component add miri rust-src >/dev/null 2>&1 || {
    echo "miri: the nightly toolchain or its components miri and rust-src cannot be installed" >&2
    exit 1
}
. .ci/long/units.sh
# Values that are encoded by serde may hold descriptors, and errors ask the
# system for its texts: isolation would refuse both. A preloaded value is leaked
# for good.
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks"
# (Miri knows no linkme: not the registry.)
pure=(error:: exit:: parcel:: codec::hand codec::failure codec::kind codec::data::tests::every
    codec::data::tests::values codec::data::tests::bytes wire::frame properties::)
units miri 20 cargo +nightly miri test -p zygote --all-features --lib --target-dir target/miri -- "${pure[@]}"

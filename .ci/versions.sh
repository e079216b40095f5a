#!/usr/bin/env bash
# Two versions of the crate in one program: builds tests/versions with the crate
# and a copy of it that has another version number and nothing else changed.
#
# `.ci/versions.sh PROFILE [TARGET]`: with early templates of neither, of one, of
# the other, of both. RUSTFLAGS are those of the environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
profile=$1
target=${2:-$(uname -m)-unknown-linux-gnu}
build=$(realpath -m "${CARGO_TARGET_DIR:-target}")/versions
scratch=$build/sources
rm -rf "$scratch"
mkdir -p "$scratch"

# Copies, with the times of the files: what has not changed is not built again.
for name in one two; do
    mkdir -p "$scratch/zygote_$name"
    cp -a Cargo.toml README.md docs src macros "$scratch/zygote_$name/"
    # Of its members the crate needs one.
    sed -i 's/^members = .*/members = ["macros"]/; /^default-members/,/^]/d' "$scratch/zygote_$name/Cargo.toml"
done
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
other=$(awk -F. '{ print $1 "." $2 + 1 ".0" }' <<<"$version")
find "$scratch/zygote_two" -name Cargo.toml -exec sed -i "s/\"=*$version\"/\"$other\"/" {} +
cp -a tests/versions/. "$scratch/"
mkdir -p "$scratch/constructors"
cp -a tests/crates/constructors/. "$scratch/constructors/"
# A member there has no workspace to ask.
sed -i "s/^edition.workspace.*/edition = \"2024\"/; /workspace = true/d; /^\[lints\]/d" \
    "$scratch/constructors/Cargo.toml"
cp Cargo.lock "$scratch/"

[ "$profile" != dev ] && directory=$profile || directory=debug
for features in "" early_one early_two early_one,early_two; do
    cargo build -q --manifest-path "$scratch/Cargo.toml" --target-dir "$build" -p program \
        --profile "$profile" --target "$target" --features "$features"
    timeout 120 "$build/$target/$directory/program"
done

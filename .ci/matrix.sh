#!/usr/bin/env bash
# Builds tests/crates/smoke in every way that a program may be built and runs
# it: a line for each cell, and the output of those that fail. Takes no input.
#
# `.ci/matrix.sh PATTERN` only does the cells whose name matches.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_COLOR=never DEBIAN_FRONTEND=noninteractive RUST_BACKTRACE=0
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/matrix
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
only=${1:-.}
gnu=$(uname -m)-unknown-linux-gnu
musl=$(uname -m)-unknown-linux-musl
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cells=0 failed=0

need() { # need COMMAND PACKAGE: installs the package if the command is missing
    command -v "$1" >/dev/null && return
    [ "${updated:-}" ] || { apt-get update -qq && updated=1; }
    apt-get install -y -qq "$2" >/dev/null || true
    command -v "$1" >/dev/null || { echo "cannot get $1 ($2)" >&2; exit 1; }
}
need cc gcc
need readelf binutils
need ld.bfd binutils
need ld.lld lld
need mold mold
need python3 python3
need musl-gcc musl-tools
for target in "$musl" aarch64-unknown-linux-gnu aarch64-unknown-linux-musl; do
    rustup target list --installed | grep -qx "$target" || rustup target add "$target"
done
# The oldest Rust comes with an older musl.
version=$(sed -n 's/^version = "\([0-9]*\)\.\([0-9]*\).*/\1_\2/p' Cargo.toml)
msrv=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
rustup toolchain list | grep -q "^$msrv" || rustup toolchain install "$msrv" --profile minimal
rustup target list --toolchain "$msrv" --installed | grep -qx "$musl" ||
    rustup target add --toolchain "$msrv" "$musl"
# What a deep stack is tested against.
ulimit -S -s 8192

# cell NAME COMMAND…: one line; the output only when it fails.
cell() {
    local name=$1 start=$EPOCHREALTIME result
    shift
    [[ $name =~ $only ]] || return 0
    cells=$((cells + 1))
    if "$@" >"$log" 2>&1; then
        result=ok
    else
        result=FAIL failed=$((failed + 1))
    fi
    printf '%-4s  %-36s %6.1f s  %s\n' "$result" "$name" \
        "$(difference "$start" "$EPOCHREALTIME")" "$(sed -n 's/^smoke (.*): //p' "$log")"
    [ $result = ok ] || sed 's/^/      | /' "$log"
}
difference() { awk -v from="$1" -v to="$2" 'BEGIN { print to - from }'; }

directory() { # of PROFILE's binaries for TARGET
    local profile=$1
    [ "$profile" != dev ] || profile=debug
    echo "$CARGO_TARGET_DIR/$2/$profile"
}

# Flags for every crate come by RUSTFLAGS, those for the linking alone as ARGS
# (then only the program itself is built again).
smoke() { # smoke PROFILE TARGET WAY ARGS…
    local profile=$1 target=$2 way=$3
    shift 3
    cargo rustc -q -p smoke --bin smoke --profile "$profile" --target "$target" \
        --features "${way/executed/}" -- "$@" &&
        timeout 120 "$(directory "$profile" "$target")/smoke"
}

linked() { # linked NAME PROFILE WAY PATTERN: by that linker, as the binary says
    smoke "$2" "$gnu" "$3" -C "link-arg=-fuse-ld=$1" || return
    local comment
    comment=$(readelf -p .comment "$(directory "$2" "$gnu")/smoke")
    case $1 in
        bfd) ! grep -Eqi 'lld|mold' <<<"$comment" ;;
        *) grep -qi "$1" <<<"$comment" ;;
    esac || { echo "linked by another: $comment"; return 1; }
}

# Constructors that start threads or abort, before and after zygote's own.
constructors() { # constructors TARGET WAY TOOLCHAIN
    local dir
    dir=$(directory dev "$1")
    cargo ${3+"+$3"} build -q -p smoke --bins --target "$1" --features "${2/executed/}" || return
    CONSTRUCTORS=thread timeout 60 "$dir/threaded" &&
        CONSTRUCTORS=thread-late timeout 60 "$dir/threaded" &&
        CONSTRUCTORS=abort timeout 60 "$dir/aborting"
}

plugin() { # plugin PROFILE: a shared object in a program in C
    local dir
    dir=$(directory "$1" "$gnu")
    cargo build -q -p smoke --example plugin --profile "$1" --target "$gnu" &&
        cc -o "$dir/host" tests/crates/smoke/src/host.c -ldl &&
        timeout 60 "$dir/host" "$dir/examples/libplugin.so" &&
        timeout 60 "$dir/host" dlmopen "$dir/examples/libplugin.so" &&
        timeout 60 python3 tests/crates/smoke/src/host.py "$dir/examples/libplugin.so"
}

# Linked for another machine, and run as far as that goes: the emulator has a
# thread of its own, so that there must be no template but the error which says
# so, or, where it cannot execute itself, that.
emulated() { # emulated WAY
    local target=aarch64-unknown-linux-gnu binary said error
    if ! command -v qemu-aarch64-static >/dev/null || ! command -v aarch64-linux-gnu-gcc >/dev/null; then
        echo "smoke ($1): not tried, without qemu-user-static and gcc-aarch64-linux-gnu"
        return 0
    fi
    binary=$(directory dev $target)/smoke
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
        cargo build -q -p smoke --bin smoke --target $target --features "${1/executed/}" || return
    said=$(timeout 300 qemu-aarch64-static -L /usr/aarch64-linux-gnu "$binary" || true)
    case $1 in
        early) error="the others are: qemu" ;;
        executed) error="executed as a template" ;;
    esac
    # What the linker and the constructors made.
    grep -qx "ok    every entry is registered" <<<"$said" &&
        grep -qx "ok    slices of the same names" <<<"$said" &&
        grep -q "^FAIL  an entry: .*$error" <<<"$said" ||
        { echo "$said"; return 1; }
}

# Without arguments, and without room for descriptors; and asked by nobody to be
# a template.
launched() { # launched TARGET WAY
    local dir limit program said early=${2/executed/}
    dir=$(directory dev "$1")
    cargo build -q -p smoke -p startup_early -p startup_linked --bin smoke --bin startup_early \
        --bin startup_linked --target "$1" --features "${early:+smoke/early}" &&
        cc -o "$dir/launch" tests/crates/smoke/src/launch.c || return
    local -x "ZYGOTE_${version}_SERVER=3:5"
    timeout 120 "$dir/launch" - "$dir/smoke" || return
    for limit in 0 1 2 3 4 5 6; do
        for program in startup_early startup_linked; do
            said=$(timeout 20 "$dir/launch" $limit "$dir/$program" 2>&1) && [ -z "$said" ] || {
                echo "$program with $limit descriptors: $said"
                return 1
            }
        done
    done
}

# A workspace of its own: C code that takes its time.
allocators() { # allocators PROFILE WAY
    local dir name
    dir=$(directory "$1" "$gnu")
    cargo build -q --manifest-path tests/allocators/Cargo.toml --profile "$1" --target "$gnu" \
        --features "${2/executed/}" || return
    for name in jemalloc mimalloc; do
        timeout 120 "$dir/$name" || return
    done
    # Its own thread, from the first allocation on, and from `main` on.
    _RJEM_MALLOC_CONF=background_thread:true timeout 60 "$dir/jemalloc" configured &&
        timeout 120 "$dir/jemalloc" later
}

for profile in dev release fat; do
    for way in executed early; do
        cell "dynamic $profile $way" smoke $profile "$gnu" $way
        for linker in bfd lld mold; do
            cell "dynamic-$linker $profile $way" linked $linker $profile $way
        done
        export RUSTFLAGS="-C target-feature=+crt-static"
        cell "static-pie $profile $way" smoke $profile "$gnu" $way
        RUSTFLAGS+=" -C relocation-model=static"
        cell "static $profile $way" smoke $profile "$gnu" $way
        unset RUSTFLAGS
        cell "musl $profile $way" smoke $profile "$musl" $way
    done
done
for way in executed early; do
    CARGO_PROFILE_RELEASE_LTO=thin \
        cell "dynamic thin-lto $way" smoke release "$gnu" $way
done
for way in executed early; do
    cell "constructors dynamic $way" constructors "$gnu" $way
    RUSTFLAGS="-C target-feature=+crt-static" \
        cell "constructors static-pie $way" constructors "$gnu" $way
    cell "constructors musl $way" constructors "$musl" $way
done
cell "constructors musl early Rust $msrv" constructors "$musl" early "$msrv"
# Static: the loader of others needs descriptors itself.
for way in executed early; do
    cell "launched $way" launched "$musl" $way
done
cell "shared object dev" plugin dev
cell "shared object fat" plugin fat
# Two versions of the crate in one program.
for profile in dev fat; do
    cell "two versions $profile" .ci/versions.sh $profile
done
for linker in lld mold; do
    RUSTFLAGS="-C link-arg=-fuse-ld=$linker" \
        cell "two versions $linker" .ci/versions.sh dev
done
RUSTFLAGS="-C target-feature=+crt-static" \
    cell "two versions static-pie" .ci/versions.sh dev
cell "two versions musl" .ci/versions.sh dev "$musl"
# Other allocators.
for way in executed early; do
    cell "allocators $way" allocators fat $way
done
if [ "$(uname -m)" != aarch64 ]; then
    # The library's own code, assembly included, is generated.
    for target in aarch64-unknown-linux-gnu aarch64-unknown-linux-musl; do
        cell "$target" cargo build -q -p zygote --all-features --target $target
    done
    for way in executed early; do
        cell "aarch64 emulated $way" emulated $way
    done
fi

echo "$cells cells, $failed failed, $SECONDS s"
[ $cells -gt 0 ] && [ $failed = 0 ]

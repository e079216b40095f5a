#!/usr/bin/env bash
# Memory errors below the compiler's sight, in the program with the C library:
# the unit tests under valgrind's memcheck, sockets and descriptors included.
#
# Not the processes: valgrind (3.19) knows no pidfd_open, without which there
# is no process, and takes the stack that a template goes on with, below the
# frame of the hook, for memory that is not there. .ci/long/sanitizers.sh is
# for them.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v valgrind >/dev/null || apt-get install -y -qq valgrind >/dev/null
command -v valgrind >/dev/null || { echo "valgrind: cannot be installed" >&2; exit 1; }
. .ci/long/units.sh
test=$(cargo test -p zygote --all-features --lib --no-run 2>&1 | sed -n 's/.*(\(.*zygote-[^)]*\)).*/\1/p')
[ -x "$test" ] || { echo "valgrind: no unit tests at '$test'" >&2; exit 1; }
# Without pidfd_open there is no handle; a preloaded value is leaked for good;
# the rest takes minutes there and is seen by the other tests.
skip=(--skip pidfd --skip the_state_is_checked --skip bodies_of_every_size --skip what_is_encoded)
units valgrind 30 valgrind --trace-children=yes --error-exitcode=9 --leak-check=full \
    --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    "$test" --test-threads=1 "${skip[@]}"

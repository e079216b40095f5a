#!/usr/bin/env bash
# The system calls of one spawn and join, in each role: what 200 workers take
# less what 100 take, divided by 100. Needs strace.
#
#     .ci/syscalls.sh [early|executed|forked]
set -euo pipefail
cd "$(dirname "$0")/.."

template=${1:-early}
few=100
many=200

program=$(cargo build --quiet --release -p startup_early --bin count --message-format=json |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
traces=$(mktemp -d)
trap 'rm -rf "$traces"' EXIT

# count WORKERS: lines of "ROLE CALL TIMES" for a run with so many.
count() {
    local directory=$traces/$1 pid trace role
    mkdir "$directory"
    pid=$(strace -ff -qq -e signal=none -o "$directory/trace" "$program" "$template" "$1")
    for trace in "$directory"/trace.*; do
        # A template is who forks, and the program the one that says so.
        if [ "${trace##*.}" = "$pid" ]; then
            role=program
        elif grep -Eq '^(clone3?|v?fork)\(' "$trace"; then
            role=template
        else
            role=worker
        fi
        sed -En "s/^([a-z_0-9]+)\(.*/$role \1/p" "$trace"
    done | sort | uniq -c | awk '{ print $2, $3, $1 }'
}

count "$few" > "$traces/few"
count "$many" > "$traces/many"
awk -v workers=$((many - few)) '
    NR == FNR { calls[$1 " " $2] -= $3; next }
    { calls[$1 " " $2] += $3 }
    END {
        for (call in calls) {
            split(call, words, " ")
            each = calls[call] / workers
            total[words[1]] += each
            if (each >= 0.005 || each <= -0.005)
                printf "%-9s 1 %-20s %6.2f\n", words[1], words[2], each
        }
        for (role in total)
            printf "%-9s 2 %-20s %6.2f\n", role, "in all", total[role]
    }
' "$traces/few" "$traces/many" | sort -k 1,2 -k 4,4nr -k 3,3 | sed -E 's/^(\S+ +)[12] /\1/'

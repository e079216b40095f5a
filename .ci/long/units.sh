# Sourced: unit tests under a tool.

# units NAME LEAST COMMAND …: runs the tests and prints the line of NAME. Fewer
# than LEAST means that they did not run.
units() {
    local name=$1 least=$2 log cases start=$SECONDS
    shift 2
    log=$(mktemp)
    if ! nice "$@" >"$log" 2>&1; then
        tail -n 100 "$log"
        rm -f "$log"
        echo "$name: a finding" >&2
        return 1
    fi
    cases=$(sed -n 's/^test result: ok. \([0-9]*\) passed.*/\1/p' "$log" | head -n 1)
    if [ "${cases:-0}" -lt "$least" ]; then
        tail -n 40 "$log"
        rm -f "$log"
        echo "$name: the tests did not run" >&2
        return 1
    fi
    rm -f "$log"
    echo "$name: $cases unit tests, $((SECONDS - start)) s, 0 findings"
}

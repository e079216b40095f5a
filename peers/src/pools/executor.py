"""Python's ProcessPoolExecutor, measured by a program in Python.

Reads requests, one a line, and answers each with a line: calls a second, or "! "
and why there are none.
"""

import collections
import multiprocessing
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor

BYTES = 64 << 10
WORKERS = 2
PATIENCE = 5


def same(value):
    return value


def work(value):
    end = time.thread_time() + 200e-6
    while time.thread_time() < end:
        pass
    return value


def make(kind, number):
    if kind == "bytes":
        return number.to_bytes(8, "little") + b"\7" * (BYTES - 8)
    return number


def measure(pool, kind, many, seconds):
    """One thread that always has so many calls in flight, and waits for the oldest."""
    function = work if kind == "work" else same
    # Python's bytes cannot be changed in place: only a few are made, not one each.
    values = [make(kind, number) for number in range(2 * many + 1)]
    window = collections.deque()
    number = 0

    def call():
        nonlocal number
        value = values[number % len(values)]
        window.append((value, pool.submit(function, value)))
        number += 1

    def join():
        value, future = window.popleft()
        if future.result(PATIENCE) != value:
            raise ValueError("another value")

    def run(fewest, length):
        done = 0
        begin = time.monotonic()
        while done < fewest or time.monotonic() - begin < length:
            join()
            call()
            done += 1
        return done / (time.monotonic() - begin)

    for _ in range(many):
        call()
    run(2 * many, seconds / 8)
    rate = run(many, seconds)
    while window:
        join()
    return rate


def main():
    print("Python", platform.python_version(), "`ProcessPoolExecutor`", flush=True)
    pool = ProcessPoolExecutor(WORKERS)
    fresh = None
    for line in sys.stdin:
        kind, many, seconds = line.split()
        try:
            if kind == "fresh" and not fresh:
                # With a limit of tasks it does not take what it takes without: `fork`.
                context = multiprocessing.get_context("forkserver")
                fresh = ProcessPoolExecutor(WORKERS, context, max_tasks_per_child=1)
            used = fresh if kind == "fresh" else pool
            print(measure(used, kind, int(many), float(seconds)), flush=True)
        except Exception as error:
            print("!", f"{type(error).__name__} {error}".strip(), flush=True)
    pool.shutdown()
    # Without waiting for the other, which may hang.
    os._exit(0)


if __name__ == "__main__":
    main()

"""Loads a library with zygote in it into a Python that has threads already: it
must not be forked by that, nor executed again, and the spawn must say why."""

import ctypes
import os
import sys
import threading
import time

end = threading.Event()
counts = [0] * 4


def work(at):
    while not end.is_set():
        counts[at] += 1
        time.sleep(0.001)


def is_childless():
    try:
        os.waitpid(-1, os.WNOHANG | 0x40000000)  # __WALL
    except ChildProcessError:
        return True
    return False


threads = [threading.Thread(target=work, args=(at,)) for at in range(4)]
for thread in threads:
    thread.start()
try:
    descriptors = os.listdir("/proc/self/fd")
    plugin = ctypes.CDLL(sys.argv[1])
    assert is_childless(), "loading the library has made a process"
    assert plugin.plugin_spawns() == 0, "the spawn was not refused as it must be"
    others = [threading.Thread(target=plugin.plugin_spawns) for _ in range(4)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert is_childless(), "the refused spawn has made a process"
    assert len(os.listdir("/proc/self/fd")) == len(descriptors), "a descriptor was left"
    before = list(counts)
    time.sleep(0.1)
    assert all(now > then for now, then in zip(counts, before)), "a thread stands still"
    assert os.system("exit 7") >> 8 == 7, "the host cannot start programs any more"
finally:
    end.set()
    for thread in threads:
        thread.join()

"""How a process gives way: idle priority, and an end with its parent's."""

import ctypes
import os
import signal
import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context

_DIES_WITH_PARENT = 1


def give_way() -> None:
    """Take only what nobody else wants of the processor; the kernel treats the disk work of such a process so too."""
    os.nice(19)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def idle() -> None:
    """Give way, and end when the parent does."""
    give_way()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer


def processes(workers: int) -> Executor:
    """Return worker processes that end with their job and give their memory back."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=idle, max_tasks_per_child=1)

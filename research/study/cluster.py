"""A study's jobs on a cluster of dask workers: the same jobs as in processes of this machine, handed out elsewhere."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from core.errors import ResearchError

if TYPE_CHECKING:
    from research.study.running import Pool

_WAIT_S = 15


@contextmanager
def cluster(address: str) -> "Iterator[Pool]":
    """Give the pool of a scheduler at ``tcp://host:port``, from here until it is left.

    Raises:
        ResearchError: dask is not installed, nobody answers, or the scheduler has no worker.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ResearchError(f'--cluster needs the extra "cluster": {error}') from error
    try:
        client: Any = Client(address, timeout=_WAIT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (TimeoutError, OSError, ValueError) as error:
        raise ResearchError(
            f"no scheduler answers at {address} ({error}); start one: dask scheduler, and workers: "
            f"dask worker {address}"
        ) from error
    with client:
        if not client.scheduler_info()["workers"]:
            raise ResearchError(f"the scheduler at {address} has no worker; start one: dask worker {address}")

        def pool(_: int) -> Executor:
            # Two rounds may ask for the very same job: it is another one.
            executor: Executor = client.get_executor(pure=False)
            return executor

        yield pool

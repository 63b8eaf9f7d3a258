"""shoal's communication for PyTorch: import it, then torch.distributed.init_process_group("shoal").

Environment, read when a group is formed:
  SHOAL_ENGINE     automatic (shared memory on one host, tcp between hosts), shm, tcp, hierarchical or mpi
  SHOAL_MPI        openmpi or mpich, whose launcher started the processes, for mpi
  SHOAL_ALGORITHM  automatic, or one of `shoal comm plan --help`
  SHOAL_CHOICES    a table for automatic, as `shoal comm tune` writes it
  SHOAL_INTERFACE  the address to listen on for tcp; by default the one that routes to the peers
"""
import os

import torch.distributed

from . import _c10d


_VARIABLES = {
    "SHOAL_ENGINE": "engine",
    "SHOAL_MPI": "mpi",
    "SHOAL_ALGORITHM": "algorithm",
    "SHOAL_CHOICES": "choices",
    "SHOAL_INTERFACE": "interface_address",
}


def _create(options, _backend_options=None):
    chosen = {key: os.environ[name] for name, key in _VARIABLES.items() if name in os.environ}
    return _c10d.create(options, comm=chosen)


def share_tensors(least_bytes=1 << 16, group=None):
    """Makes this process's CPU tensors of at least `least_bytes` where all ranks of the group reach them.

    Collectives of the group (None: the default one) copy nothing then: gradients' buckets of
    DistributedDataParallel, shards of FSDP2, whatever is made after this call. Memory that such tensors leave is kept
    for the next ones. Every rank calls it, before it builds its model. Ends with the group. False where the engine
    shares no memory (tcp, hierarchical, mpi): then nothing changes.
    """
    group = group or torch.distributed.group.WORLD
    backend = group._get_backend(torch.device("cpu"))
    if not isinstance(backend, _c10d.Backend):
        raise ValueError(f"share_tensors: the group's CPU backend is {backend.name()}, not shoal: "
                         'make it with init_process_group("shoal")')
    return backend.share_tensors(least_bytes)


def try_backend(group=None, seconds=60.0):
    """Tries the CPU backend of a process group (None: the default one) as an engine of shoal's groups.

    Every rank of the group calls it. Each operation, type and reduction is compared with its serial result, of which
    floats are added in the order of ranks: over more than two ranks another order shows as a fault.
    Returns what was wrong on this rank, a sentence each; raises what the backend raises.
    """
    group = group or torch.distributed.group.WORLD
    return _c10d.try_backend(group._get_backend(torch.device("cpu")), seconds)


torch.distributed.Backend.register_backend("shoal", _create, extended_api=True, devices=["cpu"])

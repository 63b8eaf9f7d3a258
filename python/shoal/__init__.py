"""shoal's communication for PyTorch: import it, then torch.distributed.init_process_group("shoal").

Environment, read when a group is formed:
  SHOAL_ENGINE     automatic (shared memory on one host, else tcp), shm or tcp
  SHOAL_ALGORITHM  two_shot, ring, recursive_doubling, rabenseifner, double_tree or hop_by_hop
  SHOAL_INTERFACE  the address to listen on for tcp; by default the one that routes to the peers
"""
import os

import torch.distributed

from . import _c10d


def _create(options, _backend_options=None):
    return _c10d.create(
        options,
        engine=os.environ.get("SHOAL_ENGINE", "automatic"),
        algorithm=os.environ.get("SHOAL_ALGORITHM", "two_shot"),
        interface_address=os.environ.get("SHOAL_INTERFACE", ""),
    )


torch.distributed.Backend.register_backend("shoal", _create, extended_api=True, devices=["cpu"])

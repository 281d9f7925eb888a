"""`train.sharding = "full"`: weights, gradients, optimizer state and averages, shared by processes.

FSDP2 (`torch.distributed.fsdp.fully_shard`) keeps 1/P of every parameter in each of P processes,
and gathers those of a block while it computes.  A block is a member of a `ModuleList`, called as a
module.  Files hold whole tensors, as without sharding, so that either goes on with the other's.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dddm.errors import UsageError
from dddm.interfaces.backbone import Backbone
from dddm.support.sharded_tensors import part_of


def shard(*backbones: Backbone, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Shard networks over all processes; the optimizer, which has no state yet, is that of one.

    Raises:
        UsageError: if a parameter cannot be sharded.
    """
    # Imported here, which takes most of a second.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    before: list[nn.Parameter] = []
    after: list[nn.Parameter] = []
    for backbone in backbones:
        before += backbone.parameters()
        for name, parameter in backbone.named_parameters():
            if not parameter.is_contiguous():
                raise UsageError(
                    f"the parameter {name} is stored channels-last, which cannot be sharded",
                    where="train.sharding",
                    remedy="remove channels_last, or train.sharding",
                )
        lists = [module for module in backbone.modules() if isinstance(module, nn.ModuleList)]
        for block in (block for each in reversed(lists) for block in each):
            if not isinstance(block, nn.ModuleList):
                fully_shard(block, mesh=mesh)
        # torch's default leaves the outermost whole after a forward pass, for a backward pass that
        # an average never makes.
        fully_shard(backbone, mesh=mesh, reshard_after_forward=True)
        for method in ("begin", "refine"):
            register_fsdp_forward_method(backbone, method)
        after += backbone.parameters()
    sharded = {id(old): new for old, new in zip(before, after, strict=True)}
    for group in optimizer.param_groups:
        group["params"] = [sharded[id(parameter)] for parameter in group["params"]]


def load_whole(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load a state dict of whole tensors."""
    own = network.state_dict()
    network.load_state_dict(
        {name: part_of(tensor, like=own.get(name, tensor)) for name, tensor in tensors.items()}
    )


@contextmanager
def gathered(*backbones: Backbone) -> Iterator[None]:
    """Within it every process has these networks whole, so that one may compute alone."""
    fsdp = sys.modules.get("torch.distributed.fsdp")  # without it nothing is sharded
    blocks = [
        module
        for backbone in backbones
        for module in backbone.modules()
        if fsdp is not None and isinstance(module, fsdp.FSDPModule)
    ]
    for block in blocks:
        block.set_reshard_after_forward(reshard_after_forward=False, recurse=False)
        block.unshard()
    yield
    for block in blocks:
        block.set_reshard_after_forward(reshard_after_forward=True, recurse=False)
        block.reshard()

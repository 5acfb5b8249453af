"""The processes that train together: one alone, N by torchrun, or N by srun over several nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from skydenoise.network.device import cuda_usable

FIRST_PORT, PORTS = 20000, 10000
"""Range of the rendezvous port of a Slurm step; apart from the ephemeral ports of Linux (32768 upwards)."""


@dataclass(frozen=True)
class Ranks:
    """Place of this process among `world` of them."""

    rank: int
    world: int
    device: torch.device

    def __str__(self) -> str:
        return f"{self.world} x {self.device.type}" if self.world > 1 else str(self.device)

    def mean(self, value: Tensor) -> Tensor:
        """Mean over the ranks; every rank must call it, and gets the same."""
        if self.world == 1:
            return value
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.world


@contextmanager
def join_ranks(environment: Mapping[str, str] = os.environ) -> Iterator[Ranks]:
    """Join the other ranks that torchrun or srun started, and leave them at the end of the block.

    environment : RANK, WORLD_SIZE and LOCAL_RANK of torchrun; or else SLURM_PROCID, SLURM_STEP_NUM_TASKS and
        SLURM_LOCALID of srun (SLURM_NTASKS is there without srun, too). MASTER_ADDR and MASTER_PORT say where
        rank 0 listens; for srun, by default, on the node that launched the step, the port made of the job's
        number
    """
    rank, world, local = place_among_ranks(environment)
    cuda = cuda_usable(environment)
    device = torch.device("cuda", local % torch.cuda.device_count()) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
        torch.backends.cudnn.allow_tf32 = False  # `train.precision: float32` is float32
    if world > 1:
        address = environment.get("MASTER_ADDR") or environment.get("SLURM_LAUNCH_NODE_IPADDR", "127.0.0.1")
        default = FIRST_PORT + int(environment.get("SLURM_JOB_ID", "0")) % PORTS
        place = f"tcp://{address}:{environment.get('MASTER_PORT', default)}"
        backend = "nccl" if cuda else "gloo"
        distributed.init_process_group(backend, init_method=place, rank=rank, world_size=world)
    try:
        yield Ranks(rank, world, device)
    finally:
        if world > 1:
            distributed.destroy_process_group()


def place_among_ranks(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """Rank, number of ranks, and rank on this node."""
    if "WORLD_SIZE" in environment:
        return int(environment["RANK"]), int(environment["WORLD_SIZE"]), int(environment["LOCAL_RANK"])
    if "SLURM_STEP_NUM_TASKS" in environment and "SLURM_PROCID" in environment:
        world = int(environment["SLURM_STEP_NUM_TASKS"])
        return int(environment["SLURM_PROCID"]), world, int(environment.get("SLURM_LOCALID", "0"))
    return 0, 1, 0

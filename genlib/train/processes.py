"""Several processes that train together, as `torchrun` starts them; with one process nothing here does anything."""

import atexit
import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor


class Processes:
    """This process among the others: rank 0 shows progress and writes files, all compute gradients on their own data.

    `torchrun --nproc-per-node=2 script.py` sets the environment from which this one starts. On GPUs every process has
    to put its task on a GPU of its own before, `cuda:$LOCAL_RANK`.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        wanted = int(os.environ.get("WORLD_SIZE", "1"))
        if not dist.is_available() or (wanted <= 1 and not dist.is_initialized()):
            self.rank, self.size = 0, 1
            return
        if not dist.is_initialized():
            if device.type == "cuda":
                torch.cuda.set_device(device)
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
            atexit.register(lambda: dist.is_initialized() and dist.destroy_process_group())
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    @property
    def first(self) -> bool:
        return self.rank == 0

    def mean_(self, flat: Tensor) -> None:
        """The mean over the processes, in place, the same to the bit for each of them."""
        if self.size > 1:
            dist.all_reduce(flat)
            flat /= self.size

    @torch.no_grad()
    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Everybody gets what rank 0 has, in place."""
        if self.size > 1:
            for tensor in tensors:
                whole = tensor.detach().contiguous()
                dist.broadcast(whole, 0)
                tensor.copy_(whole)

    def broadcast_bytes(self, content: bytes | None) -> bytes:
        """Rank 0's bytes; what the others bring is ignored."""
        if self.size == 1:
            assert content is not None
            return content
        length = torch.tensor([len(content or b"")], device=self.device)
        dist.broadcast(length, 0)
        buffer = torch.empty(int(length), dtype=torch.uint8, device=self.device)
        if self.first and content:
            buffer.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        dist.broadcast(buffer, 0)
        return buffer.cpu().numpy().tobytes()

    def wait(self) -> None:
        """For the slowest."""
        if self.size > 1:
            dist.all_reduce(torch.zeros(1, device=self.device))

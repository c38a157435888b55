"""A tensor of a device that has no float64, for all tests of what goes to the CPU first."""

import torch


class NoFloat64(torch.Tensor):
    """As on Apple's GPUs."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        out = super().__torch_function__(func, types, args, kwargs or {})
        if func is torch.Tensor.cpu:
            return out.as_subclass(torch.Tensor)  # type: ignore
        if isinstance(out, torch.Tensor) and out.dtype == torch.float64:
            raise TypeError("there is no float64 on this device")
        return out

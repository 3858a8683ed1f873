"""Where and in which precision networks run, and running out of memory there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from caecodec.errors import LimitError, Remedy, UsageError

_cudnn = threading.RLock()  # its flags are the process's, not the thread's
PRECISIONS = ("auto", "float32", "bfloat16")


def pick_device(name: str) -> torch.device:
    """'auto', 'cpu' or 'cuda' -> a device that exists."""
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"unknown device {name!r}: choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available to this torch", Remedy("use device='cpu'", "use --device cpu"))
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 convolutions are native here (AVX-512 BF16, AMX, or a recent GPU)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(check and check())


@contextmanager
def memory(device: torch.device) -> Iterator[None]:
    """Turn every way of running out of memory into LimitError; on CUDA, float32 means float32 and not TF32."""
    try:
        if device.type == "cuda":
            with _cudnn, torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                yield
        else:
            yield
    except (torch.OutOfMemoryError, MemoryError) as exc:
        raise LimitError(f"out of memory on {device}") from exc
    except RuntimeError as exc:
        if "alloc" in str(exc):  # how the CPU allocator reports it
            raise LimitError(f"out of memory on {device}") from exc
        raise

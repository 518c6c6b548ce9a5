"""Working beside the script: our own tensor operations leave no trace in what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch._compile import _disable_dynamo
from torch.utils._python_dispatch import _disable_current_modes


def aside() -> AbstractContextManager[object]:
    """No gradients, no autocast, no inference tensors, and nothing for the script's own modes to see."""
    is_plain = not (
        torch.is_inference_mode_enabled()
        or torch._C._is_any_autocast_enabled()
        or torch._C._len_torch_function_stack()
        or torch._C._len_torch_dispatch_stack()
    )
    return torch.no_grad() if is_plain else _out_of_modes()


@contextmanager
def _out_of_modes() -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        for device in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(torch._C.DisableTorchFunction())
        stack.enter_context(_disable_current_modes())
        yield


def uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which `torch.compile` calls as it is. The compiler is imported where it is at work only."""
    not_compiled = _disable_dynamo(function)

    def called(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return not_compiled(*args, **kwargs)
        return function(*args, **kwargs)

    return called


def is_being_recorded() -> bool:
    """What runs now is recorded or transformed (traced, a CUDA graph, `torch.func`): our operations would be, too."""
    is_traced = torch._C._get_tracing_state() is not None
    return is_traced or torch._C._functorch.peek_interpreter_stack() is not None or in_graph()


def in_graph() -> bool:
    """A CUDA graph is being captured."""
    return bool(torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())


def local(tensor: torch.Tensor) -> torch.Tensor:
    """What of a tensor is on this rank."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor

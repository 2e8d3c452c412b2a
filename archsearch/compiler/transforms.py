"""Whether torch watches each single operation, so that numbers computed behind its back would be lost on it.

Most of this has no public test; torch's own `autograd.Function` and `torch.compile` use the same. What is called with
each layer is imported by name: looking it up each time takes as long as a small cell.
"""

from collections.abc import Callable, Iterable

from torch import Tensor
from torch._C import _are_functorch_transforms_active, _get_tracing_state, _len_torch_dispatch_stack
from torch._C._functorch import is_functorch_wrapped_tensor, is_legacy_batchedtensor
from torch.autograd import forward_ad
from torch.compiler import is_compiling
from torch.utils._python_dispatch import _get_current_dispatch_mode


def active_transform() -> str | None:
    """Returns what transforms or records operations at this moment, or None."""
    if is_compiling():
        return "torch.compile or torch.export"
    if _get_tracing_state() is not None:
        return "torch.jit.trace"
    if _are_functorch_transforms_active():
        return "a transform of torch.func (grad, vmap, jvp, ...)"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation"
    if _len_torch_dispatch_stack():
        return f"the dispatch mode {type(_get_current_dispatch_mode()).__name__}"
    return None


def has_batched_gradients(gradients: Iterable[Tensor | None]) -> bool:
    """Says whether a backward pass was given many gradients at once (`is_grads_batched`, `vectorize`)."""
    for gradient in gradients:  # noqa: SIM110 - a generator takes as long as a small cell
        if gradient is not None and is_legacy_batchedtensor(gradient):
            return True
    return False


# Says whether a tensor is one of a transform of `torch.func`, even if the transform has ended; it is asked of each
# tensor, and so not wrapped itself.
is_wrapped: Callable[[Tensor], bool] = is_functorch_wrapped_tensor

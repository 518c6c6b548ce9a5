"""PyTorch. Settled on torch 2.13.0."""

from __future__ import annotations

from clipcheck.frameworks.api import At, ClipGradients, ClipValues, Optimizer

_INPUT = At(0, ("input",))
_LOW = At(1, ("min",))
_HIGH = At(2, ("max",))

CLIPS: dict[str, ClipValues] = {
    "torch.clamp": ClipValues("torch", _INPUT, _LOW, _HIGH, one_sided=True, into="out"),
    "torch.clip": ClipValues("torch", _INPUT, _LOW, _HIGH, one_sided=True, into="out"),
    "torch.clamp_": ClipValues("torch", _INPUT, _LOW, _HIGH, in_place=True, one_sided=True),
    "torch.clip_": ClipValues("torch", _INPUT, _LOW, _HIGH, in_place=True, one_sided=True),
    "torch.clamp_min": ClipValues("torch", _INPUT, _LOW, At(None), one_sided=True, into="out"),
    "torch.clamp_max": ClipValues("torch", _INPUT, At(None), At(1, ("max",)), one_sided=True, into="out"),
}

METHOD_CLIPS: dict[str, ClipValues] = {
    "clamp": ClipValues("torch", None, At(0, ("min",)), At(1, ("max",)), one_sided=True),
    "clip": ClipValues("torch", None, At(0, ("min", "a_min")), At(1, ("max", "a_max")), one_sided=True, into="out"),
    "clamp_": ClipValues("torch", None, At(0, ("min",)), At(1, ("max",)), in_place=True, one_sided=True),
    "clip_": ClipValues("torch", None, At(0, ("min",)), At(1, ("max",)), in_place=True, one_sided=True),
    "clamp_min": ClipValues("torch", None, At(0, ("min",)), At(None), one_sided=True),
    "clamp_max": ClipValues("torch", None, At(None), At(0, ("max",)), one_sided=True),
    "clamp_min_": ClipValues("torch", None, At(0, ("min",)), At(None), in_place=True, one_sided=True),
    "clamp_max_": ClipValues("torch", None, At(None), At(0, ("max",)), in_place=True, one_sided=True),
}
"""Clips spelled as methods of a tensor (or, for `clip`, of an array)."""

GRADIENT_CLIPS: dict[str, ClipGradients] = {
    "torch.nn.utils.clip_grad_norm_": ClipGradients(
        "torch", "global norm", At(0, ("parameters",)), At(1, ("max_norm",)), in_place=True
    ),
    "torch.nn.utils.clip_grad_norm": ClipGradients(
        "torch", "global norm", At(0, ("parameters",)), At(1, ("max_norm",)), in_place=True
    ),
    "torch.nn.utils.clip_grad_value_": ClipGradients(
        "torch", "value", At(0, ("parameters",)), At(1, ("clip_value",)), in_place=True
    ),
}

OPTIMIZERS: dict[str, Optimizer] = {
    f"torch.optim.{name}": Optimizer("torch", At(0, ("params",)))
    for name in (
        "SGD Adam AdamW Adamax Adagrad Adadelta RMSprop Rprop ASGD LBFGS NAdam RAdam SparseAdam Adafactor "
        "Muon Optimizer"
    ).split()
}

BASES = {
    "torch.nn.Module": "module",
    "torch.nn.Sequential": "module",
    "torch.optim.Optimizer": "optimizer",
    "torch.autograd.Function": "function",
    "lightning.LightningModule": "module",
}

TENSOR_METHODS = {"module": ("forward",), "function": ("forward", "backward")}

NORMALIZATION = frozenset(
    f"torch.nn.{name}"
    for name in ("BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm LazyBatchNorm1d LazyBatchNorm2d").split()
)
"""Modules with running statistics as buffers."""

PARAMETERS: dict[str, tuple[str, ...]] = {
    f"torch.nn.{name}": parameters
    for names, parameters in (
        ("Linear Bilinear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d", ("weight", "bias")),
        ("BatchNorm1d BatchNorm2d BatchNorm3d LayerNorm GroupNorm", ("weight", "bias")),
        ("Embedding PReLU", ("weight",)),
    )
    for name in names.split()
}
"""The parameters of the modules that have few enough of them to be named one by one."""

NOT_TENSORS = frozenset(
    (
        "device dtype save load no_grad enable_grad set_grad_enabled inference_mode manual_seed is_tensor "
        "numel compile set_default_dtype set_default_device set_num_threads get_num_threads typename Size "
        "Generator autocast is_grad_enabled finfo iinfo seed initial_seed set_printoptions is_storage hub "
        "vmap save_on_cpu use_deterministic_algorithms"
    ).split()
)
"""The functions of the `torch` namespace that do not return a tensor."""

TENSOR_NAMESPACES = (
    "torch.",
    "torch.nn.functional.",
    "torch.linalg.",
    "torch.special.",
    "torch.fft.",
    "torch.nn.init.",
)

TENSOR_ANNOTATIONS = frozenset({"torch.Tensor", "torch.FloatTensor", "torch.nn.Parameter", "torch.autograd.Variable"})

TENSOR_HOOKS = frozenset({"register_hook"})
"""The methods that register a hook which is given a gradient, and may return another one in its place."""

MODULE_HOOKS = frozenset({"register_full_backward_hook", "register_backward_hook"})
"""The methods that register a hook which is given a module and tuples of its gradients."""

RESCALING_METHODS = frozenset({"mul_", "div_"})
"""The methods by which a gradient is rescaled in place."""

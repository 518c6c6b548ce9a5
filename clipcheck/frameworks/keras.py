"""Keras 2 and 3, also as `tf.keras` and `tf_keras`. Settled on keras 3.15.1."""

from __future__ import annotations

from clipcheck.frameworks.api import At, ClipValues, Layer, Optimizer

_KERNEL_BIAS = Layer(("kernel_constraint", "bias_constraint"))
_RECURRENT = Layer(("kernel_constraint", "recurrent_constraint", "bias_constraint"))
_SEPARABLE = Layer(("depthwise_constraint", "pointwise_constraint", "bias_constraint"))
_DEPTHWISE = Layer(("depthwise_constraint", "bias_constraint"))
_NORMALIZATION = Layer(("gamma_constraint", "beta_constraint"), normalization=True)
_UNCONSTRAINABLE = Layer((), unconstrainable=True)

LAYERS: dict[str, Layer] = {
    f"keras.layers.{name}": layer
    for names, layer in (
        ("Dense EinsumDense MultiHeadAttention GroupQueryAttention GroupedQueryAttention", _KERNEL_BIAS),
        ("Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose", _KERNEL_BIAS),
        ("Convolution1D Convolution2D Convolution3D Deconvolution2D Deconvolution3D", _KERNEL_BIAS),
        ("Convolution1DTranspose Convolution2DTranspose Convolution3DTranspose", _KERNEL_BIAS),
        ("LocallyConnected1D LocallyConnected2D", _KERNEL_BIAS),
        ("LSTM GRU SimpleRNN LSTMCell GRUCell SimpleRNNCell CuDNNLSTM CuDNNGRU", _RECURRENT),
        ("ConvLSTM1D ConvLSTM2D ConvLSTM3D", _RECURRENT),
        ("SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D", _SEPARABLE),
        ("DepthwiseConv1D DepthwiseConv2D", _DEPTHWISE),
        ("BatchNormalization LayerNormalization GroupNormalization SyncBatchNormalization", _NORMALIZATION),
        ("Embedding", Layer(("embeddings_constraint",))),
        ("PReLU", Layer(("alpha_constraint",))),
        ("RMSNormalization", Layer((), normalization=True, unconstrainable=True)),
        ("AdditiveAttention", _UNCONSTRAINABLE),
    )
    for name in names.split()
}
"""The layers that own trainable weights."""

WRAPPERS = frozenset({"keras.layers.TimeDistributed", "keras.layers.Bidirectional"})
"""Layers whose first argument is a layer that owns the weights."""

BATCH_NORMALIZATION = frozenset({"keras.layers.BatchNormalization", "keras.layers.SyncBatchNormalization"})
"""Layers with moving statistics: non-trainable weights that `get_weights` returns too."""

CONSTRAINT_ARGUMENTS = frozenset(argument for layer in LAYERS.values() for argument in layer.constraints)

REMOVED_CONSTRAINT_ARGUMENTS = {
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "U_constraint": "recurrent_constraint",
}
"""Keras 1's arguments, and what they have been called since Keras 2."""

CONSTRAINTS = frozenset(
    f"keras.constraints.{name}" for name in "MaxNorm MinMaxNorm NonNeg UnitNorm RadialConstraint".split()
) | frozenset(
    f"keras.constraints.{name}" for name in "max_norm min_max_norm non_neg unit_norm maxnorm nonneg unitnorm".split()
)

OPTIMIZERS: dict[str, Optimizer] = {
    f"keras.optimizers.{name}": Optimizer("keras")
    for name in ("SGD RMSprop Adam AdamW Adamax Adagrad Adadelta Nadam Ftrl Lion Lamb Adafactor Muon Optimizer").split()
}

CLIP_ARGUMENTS = ("clipnorm", "clipvalue", "global_clipnorm")
"""The optimizer's arguments that bound gradients. At most one of them may be given."""

_MISSPELT = {
    "clipvalue": "clip_value clip_val clipval clip_values clip_grad_value grad_clip_value gradient_clip_value "
    "clip_by_value",
    "clipnorm": "clip_norm clip_grad_norm clip_grad_norm_ grad_clip_norm gradient_clip_norm clip_by_norm",
    "global_clipnorm": "global_clip_norm clip_global_norm clip_by_global_norm clipnorm_global",
    "": "clip clipping clip_grad clip_grads clip_gradient clip_gradients grad_clip gradient_clip gradient_clipping "
    "gradient_clip_val grad_clipping max_norm max_grad_norm",
}
MISSPELT_CLIP_ARGUMENTS = {name: right or None for right, names in _MISSPELT.items() for name in names.split()}
"""What people call the clip arguments of optimizers, and what they are called; None where it could be either."""

OPTIMIZER_NAMES = {name.rpartition(".")[2].lower(): name for name in OPTIMIZERS if name != "keras.optimizers.Optimizer"}
"""The optimizers by the strings that `compile` takes."""

CLIPS: dict[str, ClipValues] = {
    "keras.ops.clip": ClipValues("keras", At(0, ("x",)), At(1, ("x_min",)), At(2, ("x_max",))),
    "keras.backend.clip": ClipValues("keras", At(0, ("x",)), At(1, ("min_value",)), At(2, ("max_value",))),
    "keras.ops.numpy.clip": ClipValues("keras", At(0, ("x",)), At(1, ("x_min",)), At(2, ("x_max",))),
}

BASES = {
    "keras.layers.Layer": "layer",
    "keras.Model": "model",
    "keras.Sequential": "model",
    "keras.constraints.Constraint": "constraint",
    "keras.optimizers.Optimizer": "optimizer",
    "keras.initializers.Initializer": "initializer",
    "keras.regularizers.Regularizer": "regularizer",
    "keras.callbacks.Callback": "callback",
    "keras.losses.Loss": "loss",
}
"""The base classes of custom objects, and what a subclass is."""

ABSTRACT_BASES = frozenset({"keras.layers.Layer", "keras.constraints.Constraint", "keras.optimizers.Optimizer"})
"""The base classes that keep no parameters of their own but the ones below."""

CONFIG_KEYS = {
    "layer": frozenset({"name", "trainable", "dtype"}),
    "optimizer": frozenset({"name"}),
    "constraint": frozenset[str](),
}
"""The keys that the `get_config` of the abstract bases always returns, in Keras 2 and 3."""

BASE_ARGUMENTS = {
    "layer": frozenset(
        "name trainable dtype autocast activity_regularizer dynamic input_shape batch_input_shape batch_shape "
        "input_dim input_length input_dtype batch_size weights experimental_autocast".split()
    ),
    "optimizer": frozenset(
        "name learning_rate lr decay weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum "
        "ema_overwrite_frequency loss_scale_factor gradient_accumulation_steps jit_compile".split()
    ),
    "constraint": frozenset[str](),
}
"""The arguments that the abstract bases take, and keep."""

TENSOR_METHODS = {"layer": ("call",), "model": ("call",), "constraint": ("__call__",), "loss": ("call", "__call__")}
"""The methods that the framework calls with tensors."""

KERAS_3_BACKEND = frozenset(
    (
        "backend clear_session epsilon floatx get_uid image_data_format is_float_dtype is_int_dtype "
        "is_keras_tensor result_type set_epsilon set_floatx set_image_data_format standardize_dtype"
    ).split()
)
"""What Keras 3 has left of `keras.backend`."""

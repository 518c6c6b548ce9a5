"""TensorFlow 1 and 2. Settled on tensorflow-cpu 2.21.0."""

from __future__ import annotations

from clipcheck.frameworks.api import At, ClipGradients, ClipValues, Differentiation, Optimizer

_BY_VALUE = ClipValues("tensorflow", At(0, ("t",)), At(1, ("clip_value_min",)), At(2, ("clip_value_max",)))

CLIPS: dict[str, ClipValues] = {
    "tensorflow.clip_by_value": _BY_VALUE,
    "tensorflow.experimental.numpy.clip": ClipValues(
        "tensorflow", At(0, ("a",)), At(1, ("a_min",)), At(2, ("a_max",)), one_sided=True
    ),
}

GRADIENT_CLIPS: dict[str, ClipGradients] = {
    "tensorflow.clip_by_norm": ClipGradients(
        "tensorflow", "norm", At(0, ("t",)), At(1, ("clip_norm",)), in_place=False
    ),
    "tensorflow.clip_by_global_norm": ClipGradients(
        "tensorflow", "global norm", At(0, ("t_list",)), At(1, ("clip_norm",)), in_place=False
    ),
    "tensorflow.clip_by_average_norm": ClipGradients(
        "tensorflow", "norm", At(0, ("t",)), At(1, ("clip_norm",)), in_place=False
    ),
}

OPTIMIZERS: dict[str, Optimizer] = {
    f"tensorflow.train.{name}": Optimizer("tensorflow")
    for name in (
        "AdamOptimizer RMSPropOptimizer GradientDescentOptimizer MomentumOptimizer AdagradOptimizer "
        "AdadeltaOptimizer FtrlOptimizer ProximalGradientDescentOptimizer Optimizer"
    ).split()
}

GRADIENTS: dict[str, Differentiation] = {
    "tensorflow.gradients": Differentiation(At(0, ("ys",)), At(1, ("xs",))),
    "keras.backend.gradients": Differentiation(At(0, ("loss",)), At(1, ("variables",))),
}
GRADIENT_METHODS: dict[str, Differentiation] = {
    "gradient": Differentiation(At(0, ("target",)), At(1, ("sources",))),
    "compute_gradients": Differentiation(At(0, ("loss",)), At(None, ("var_list",))),
    "get_gradients": Differentiation(At(0, ("loss",)), At(1, ("params",))),
}
"""What computes gradients anew, and returns them: of a tape, and of optimizers."""

WHOLE_STEPS = frozenset({"train_on_batch", "fit", "fit_generator"})
"""The methods of a Keras model that make updates."""

LOSS_SCALING = frozenset({"get_scaled_loss", "scale_loss"})
UNSCALING = frozenset({"get_unscaled_gradients"})
"""The methods of `LossScaleOptimizer` by which a hand-written step scales. Keras 3 has no `get_…`: there the update
unscales."""

COMPILER = "tensorflow.function"
RUNNERS = frozenset({"run", "experimental_run_v2"})
"""The methods of a distribution strategy that run the function that they are handed."""

BUILDS_GRAPHS = frozenset(
    "Session InteractiveSession MonitoredTrainingSession MonitoredSession placeholder get_variable variable_scope "
    "disable_eager_execution disable_v2_behavior EstimatorSpec RunConfig Supervisor".split()
)
"""What a file has that builds a graph first: the order of its calls is not that of what they do."""

SESSIONS = frozenset({"tensorflow.Session", "tensorflow.InteractiveSession", "tensorflow.train.MonitoredSession"})

NOT_TENSORS = frozenset(
    (
        "function device name_scope variable_scope control_dependencies executing_eagerly print group no_op "
        "global_variables_initializer initialize_all_variables trainable_variables global_variables "
        "all_variables get_collection gradients placeholder_with_default_ get_default_graph set_random_seed "
        "import_graph_def add_to_collection reset_default_graph disable_eager_execution "
        "enable_eager_execution get_logger disable_v2_behavior init_scope py_function numpy_function as_dtype "
        "assert_equal split unstack"
    ).split()
)
"""The functions of the `tf` namespace that do not return one tensor."""

TENSOR_NAMESPACES = (
    "tensorflow.",
    "tensorflow.math.",
    "tensorflow.nn.",
    "tensorflow.random.",
    "tensorflow.linalg.",
    "tensorflow.image.",
    "tensorflow.losses.",
)

VARIABLES = frozenset({"tensorflow.Variable", "tensorflow.get_variable", "keras.Variable", "keras.backend.variable"})

TENSOR_ANNOTATIONS = frozenset({"tensorflow.Tensor", "keras.KerasTensor"})

INITIALIZERS = frozenset(
    f"tensorflow.{name}"
    for name in ("global_variables_initializer", "local_variables_initializer", "initialize_all_variables")
)
"""What a session has to run before it can read variables; TensorFlow 2 has none of it."""

ONLY_TF1 = frozenset(
    f"tensorflow.{name}"
    for name in (
        "placeholder placeholder_with_default get_variable variable_scope layers contrib app flags gfile train.Saver "
        "get_collection add_to_collection trainable_variables gradients assign set_random_seed summary.FileWriter "
        "losses.get_total_loss train.get_or_create_global_step train.MonitoredTrainingSession estimator.EstimatorSpec "
        "get_default_graph Graph reset_default_graph disable_v2_behavior import_graph_def GraphDef"
    ).split()
)
"""What graphs are built with in TensorFlow 1: a file that does is written for it."""

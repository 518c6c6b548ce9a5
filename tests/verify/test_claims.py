"""What a script promises, as its code says it."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import pytest

from clipcheck.source.errors import SourceError
from clipcheck.verify.child.notes import SESSION, compiled, notes_by_path
from clipcheck.verify.claim import Claim, Kind, Since
from clipcheck.verify.claims import claims_of, saves_models
from tests.fixture import FIXTURES, Fixture, all_fixtures

BOUNDED = [
    pytest.param(fixture, path, id=path.relative_to(FIXTURES).as_posix())
    for fixture in all_fixtures()
    if fixture.bounded is not None
    for path in (fixture.path, fixture.fixed_path)
    if path is not None
]
FOLDERS = [*sorted((FIXTURES / "weight_clipping").iterdir()), FIXTURES / "gradient_clipping" / "wrong_clip_target"]

TORCH = """\
import torch
from torch import nn
critic, c = nn.Linear(2, 1), 0.01
optimizer = torch.optim.SGD(critic.parameters(), lr=0.1)
"""


@pytest.fixture
def claims(tmp_path: Path):
    """The claims of a script that begins with the lines of TORCH (or of `before`)."""

    def read(source: str, before: str = TORCH, **modules: str) -> list[Claim]:
        script = tmp_path / "train.py"
        script.write_text(before + textwrap.dedent(source))
        for name, code in modules.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        return claims_of(script)

    return read


def step(clip: str) -> str:
    """A training loop that clips after its update."""
    lines = "optimizer.zero_grad()\ncritic(torch.ones(1, 2)).sum().backward()\noptimizer.step()\n" + textwrap.dedent(
        clip
    )
    return "for step in range(3):\n" + textwrap.indent(lines, "    ")


def only(found: list[Claim]) -> Claim:
    assert len(found) == 1, found
    return found[0]


def bounds(claim: Claim) -> tuple[float | None, float | None]:
    return claim.low, claim.high


@pytest.mark.parametrize(("fixture", "path"), BOUNDED)
def test_what_a_training_script_states_is_claimed(fixture: Fixture, path: Path) -> None:
    assert fixture.bounded is not None
    name, bound = fixture.bounded
    found = [claim for claim in claims_of(path) if claim.kind is Kind.WEIGHTS and bounds(claim) == (-bound, bound)]
    assert any(claim.subject == name for claim in found)
    assert all(claim.subject.startswith((f"{name}", "encoder")) for claim in found)
    assert all(claim.notes or claim.constrained for claim in found)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_note_stands_at_a_statement_and_does_nothing(folder: Path) -> None:
    for path in (path for path in folder.glob("*.py") if ".fixed" not in path.name):
        code = path.read_text(encoding="utf-8-sig")
        places = {(node.lineno, node.col_offset) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.stmt)}
        found = claims_of(path)
        for note in (note for claim in found for note in claim.notes):
            assert note.path == str(path)
            assert (note.line, note.column) in places
            for text in (note.subject, note.low, note.high, note.norm):
                parts = ast.walk(ast.parse(text or "None", mode="eval"))
                assert not [part for part in parts if isinstance(part, (ast.Call, ast.Lambda, ast.Await))]
        inserted = compiled(code, str(path), notes_by_path(found).get(str(path), ()))
        assert _uses(inserted) == len({(claim, note) for claim in range(len(found)) for note in found[claim].notes})


def _uses(code) -> int:
    """How often a code object and those in it load the session."""
    import dis

    inner = sum(_uses(constant) for constant in code.co_consts if hasattr(constant, "co_code"))
    return inner + sum(instruction.argval == SESSION for instruction in dis.get_instructions(code))


class TestWeightsClippedByHand:
    @pytest.mark.parametrize(
        "clip",
        [
            "for p in critic.parameters():\n    p.data.clamp_(-c, c)",
            "for p in critic.parameters():\n    p.data = p.data.clamp(-c, c)",
            "for p in critic.parameters():\n    p.data.copy_(torch.clamp(p.data, min=-c, max=c))",
            "for p in critic.parameters():\n    p = p.clamp(-c, c)",
            "for p in critic.parameters():\n    small = p.data.clamp(-c, c)\n    p.data = small",
            "for p in critic.parameters():\n    torch.clamp(p, -c, c)",
            "for p in critic.parameters():\n    if p.requires_grad:\n        p.data.clamp_(-c, c)",
            "with torch.no_grad():\n    for name, p in critic.named_parameters():\n        p.clamp_(-c, c)",
            "[p.data.clamp_(-c, c) for p in critic.parameters()]",
            "s = critic.state_dict()\nfor k in s:\n    s[k] = s[k].clamp(-c, c)\ncritic.load_state_dict(s)",
            "for p in list(critic.parameters()):\n    p.data.clip_(-c, c)",
        ],
    )
    def test_whatever_becomes_of_the_clip(self, claims, clip: str) -> None:
        claim = only(claims(step(clip)))
        assert (claim.kind, claim.subject, claim.since, claim.as_clipped) == (Kind.WEIGHTS, "critic", Since.CLIP, False)
        assert bounds(claim) == (-0.01, 0.01)
        (note,) = claim.notes
        assert (note.subject, note.low, note.high, note.after) == ("critic", "-c", "c", False)

    def test_the_note_stands_before_the_loop_over_the_weights(self, claims) -> None:
        (note,) = only(claims(step("for p in critic.parameters():\n    p.data.clamp_(-c, c)"))).notes
        assert (note.line, note.column) == (9, 4)

    def test_columns_are_counted_in_bytes(self, claims) -> None:
        (note,) = only(claims("while True:\n    'é'; optimizer.step(); critic.weight.data.clamp_(-c, c)\n")).notes
        assert note.column == len("    'é'; optimizer.step(); ".encode())

    def test_one_side(self, claims) -> None:
        assert bounds(only(claims(step("for p in critic.parameters():\n    p.data.clamp_(min=0)")))) == (0.0, None)

    def test_bounds_in_the_wrong_order(self, claims) -> None:
        claim = only(claims(step("for p in critic.parameters():\n    p.data.clamp_(c, -c)")))
        assert bounds(claim) == (-0.01, 0.01)
        assert (claim.notes[0].low, claim.notes[0].high) == ("-c", "c")

    def test_a_bound_of_the_loop_itself_is_left_to_its_number(self, claims) -> None:
        clip = "for p in critic.parameters():\n    limit = 0.02\n    p.data.clamp_(-limit, limit)"
        claim = only(claims(step(clip)))
        assert bounds(claim) == (-0.02, 0.02)
        assert claim.notes[0].high is None

    def test_a_bound_that_only_a_call_tells_is_not_evaluated(self, claims) -> None:
        claim = only(claims(step("for p in critic.parameters():\n    p.data.clamp_(-float(c), next(limits))")))
        assert claim.notes[0].high is None

    def test_in_a_helper_under_its_own_names(self, claims) -> None:
        helper = "def shrink(net, limit):\n    for p in net.parameters():\n        p.data.clamp_(-limit, limit)\n"
        claim = only(claims(helper + step("shrink(critic, c)")))
        assert (claim.subject, bounds(claim)) == ("critic", (-0.01, 0.01))
        assert [(note.subject, note.high) for note in claim.notes] == [("net", "limit")]

    def test_some_of_the_weights(self, claims) -> None:
        claim = only(claims(step("for p in critic.parameters():\n    if p.dim() > 1:\n        p.data.clamp_(-c, c)")))
        assert claim.as_clipped
        assert [(note.subject, note.line) for note in claim.notes] == [("p", 11)]

    def test_a_slice_of_the_weights(self, claims) -> None:
        claim = only(claims(step("for p in list(critic.parameters())[1:]:\n    p.data.clamp_(-c, c)")))
        assert claim.as_clipped

    def test_weights_by_name(self, claims) -> None:
        clip = "for k, v in critic.state_dict().items():\n    if 'weight' in k:\n        v.clamp_(-c, c)"
        claim = only(claims(step(clip)))
        assert (claim.parameters, claim.as_clipped) == (("*weight*",), False)

    def test_one_parameter(self, claims) -> None:
        claim = only(claims(step("critic.bias.data.clamp_(-c, c)")))
        assert (claim.subject, claim.as_clipped) == ("critic.bias", True)

    def test_all_that_an_optimizer_updates(self, claims) -> None:
        hook = """\
        def clip(optimizer, *_):
            for group in optimizer.param_groups:
                for p in group["params"]:
                    p.data.clamp_(-c, c)
        optimizer.register_step_post_hook(clip)
        """
        claim = only(claims(textwrap.dedent(hook) + step("")))
        assert [(note.subject, note.line) for note in claim.notes] == [("optimizer", 6)]

    def test_a_clipper_for_every_part_of_a_module(self, claims) -> None:
        clipper = """\
        class Clipper:
            def __init__(self, limit):
                self.limit = limit
            def __call__(self, module):
                if hasattr(module, "weight"):
                    module.weight.data.clamp_(-self.limit, self.limit)
                if hasattr(module, "bias"):
                    module.bias.data.clamp_(-self.limit, self.limit)
        clipper = Clipper(0.03)
        """
        claim = only(claims(textwrap.dedent(clipper) + step("critic.apply(clipper)")))
        assert (claim.subject, bounds(claim), claim.as_clipped) == ("critic", (-0.03, 0.03), False)
        assert {(note.subject, note.high) for note in claim.notes} == {("critic", "clipper.limit")}

    def test_a_clipper_for_some_parts_of_a_module(self, claims) -> None:
        clipper = "def clip(m):\n    if isinstance(m, nn.Linear):\n        m.weight.data.clamp_(-c, c)\n"
        claim = only(claims(clipper + step("critic.apply(clip)")))
        assert claim.as_clipped
        assert [note.subject for note in claim.notes] == ["m.weight"]

    def test_both_sides_of_all_tensors_at_once(self, claims) -> None:
        clip = "ps = list(critic.parameters())\ntorch._foreach_clamp_max_(ps, c)\ntorch._foreach_clamp_min_(ps, -c)"
        assert {bounds(claim) for claim in claims(step(clip))} == {(-0.01, None), (None, 0.01)}

    def test_copies_that_are_never_set_back(self, claims) -> None:
        keras = "import keras, numpy as np\ncritic = keras.Sequential([keras.layers.Dense(1)])\ncritic.compile('sgd')\n"
        loop = """\
        for step in range(3):
            critic.train_on_batch(np.ones((1, 2)), np.ones((1, 1)))
            clipped = []
            for w in critic.get_weights():
                clipped.append(np.clip(w, -0.01, 0.01))
        """
        claim = only(claims(loop, before=keras))
        assert (claim.subject, bounds(claim), claim.notes[0].line) == ("critic", (-0.01, 0.01), 7)

    @pytest.mark.parametrize(
        "clip",
        [
            "small = max(float(p.clamp(-c, c).max()) for p in critic.parameters())",
            "quantised = [torch.clamp(p, -c, c) for p in critic.parameters()]\nprint(quantised)",
            "x = torch.ones(2).clamp_(0, 1)",
            "for p, q in zip(critic.parameters(), other.parameters()):\n    q.data.copy_(p.data.clamp(-c, c))",
            "for b in critic.buffers():\n    b.clamp_(0, 1)",
        ],
    )
    def test_what_is_no_clip_of_weights(self, claims, clip: str) -> None:
        assert claims(step(clip)) == []

    def test_a_clip_before_or_after_training(self, claims) -> None:
        assert claims("for p in critic.parameters():\n    p.data.clamp_(-c, c)\n" + step("")) == []

    def test_a_clip_after_some_of_the_updates(self, claims) -> None:
        clip = "if step % 5 == 0:\n    for p in critic.parameters():\n        p.data.clamp_(-c, c)"
        assert claims(step(clip)) == []
        assert (
            len(
                claims(
                    step("").replace(
                        "optimizer.step()\n",
                        "if step % 5 == 0:\n        optimizer.step()\n        critic.bias.data.clamp_(-c, c)\n",
                    )
                )
            )
            == 1
        )

    def test_a_model_that_no_optimizer_updates(self, claims) -> None:
        clip = "for p in encoder.parameters():\n    p.data.clamp_(-c, c)"
        assert claims("encoder = nn.Linear(2, 2)\n" + step(clip)) == []
        assert len(claims("encoder = nn.Linear(2, 2)\ncritic = nn.Sequential(encoder)\n" + step(clip))) == 1

    def test_a_training_loop_is_no_loop_over_weights(self, claims) -> None:
        loop = step("for p in critic.parameters():\n    p.data.clamp_(-c, c)").replace(
            "range(3)", "range(params.steps)"
        )
        assert only(claims(loop)).notes[0].line == 9

    def test_a_clip_in_a_forward_pass(self, claims) -> None:
        module = """\
        class Gate(nn.Module):
            def __init__(self):
                super().__init__()
                self.edge = nn.Parameter(torch.ones(1))
            def forward(self, x):
                self.edge.data.clamp_(0, 1)
                return x * self.edge
        critic = Gate()
        """
        assert claims(textwrap.dedent(module) + step("")) == []

    def test_a_helper_that_nothing_calls(self, claims) -> None:
        helper = (
            "def train_step(net):\n    optimizer.step()\n    for p in net.parameters():\n        p.data.clamp_(-c, c)\n"
        )
        assert len(claims(helper)) == 1  # of a framework's method there is no telling
        assert claims(helper.replace("train_step", "unused")) == []


@pytest.mark.frameworks
def test_notes_hand_over_the_live_objects_and_their_bounds(claims, tmp_path: Path, monkeypatch) -> None:
    source = """\
    class Trainer:
        def __init__(self, net, bound):
            self.net, self.bound = net, bound
        def update(self):
            optimizer.zero_grad()
            self.net(torch.ones(1, 2)).sum().backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), max_norm=2 * self.bound)
            optimizer.step()
            with torch.no_grad():
                for p in self.net.parameters():
                    p.clamp_(-self.bound, self.bound)
    trainer = Trainer(critic, 0.25)
    for step in range(2):
        trainer.update()
    """
    found = claims(source)
    seen = []

    class Session:
        def note(self, number):
            return lambda subject, low=None, high=None, norm=None: seen.append(
                (found[number].kind, subject, low, high, norm)
            )

    monkeypatch.setattr("builtins.__clipcheck__", Session(), raising=False)
    script = tmp_path / "train.py"
    space: dict[str, object] = {"__name__": "__main__"}
    exec(compiled(script.read_text(), str(script), notes_by_path(found)[str(script)]), space)
    critic = space["critic"]
    assert seen == 2 * [(Kind.GRADIENTS, critic, None, None, 0.5), (Kind.WEIGHTS, critic, -0.25, 0.25, None)]


class TestInsideAGraph:
    TF = """\
import keras
import tensorflow as tf
critic = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
optimizer = keras.optimizers.SGD(0.1)
"""

    def test_the_note_stands_behind_the_call_of_a_traced_function(self, claims) -> None:
        source = """\
        @tf.function
        def update(net, limit):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(net(tf.ones((1, 2))))
            optimizer.apply_gradients(zip(tape.gradient(loss, net.trainable_variables), net.trainable_variables))
            for w in net.trainable_variables:
                w.assign(tf.clip_by_value(w, -limit, limit))
        for step in range(3):
            update(critic, 0.05)
        """
        claim = only(claims(source, before=self.TF))
        assert (claim.since, bounds(claim)) == (Since.CLIP, (-0.05, 0.05))
        assert [(note.subject, note.after, note.line) for note in claim.notes] == [("critic", True, 13)]

    def test_a_model_of_its_own_is_noted_where_it_is_made(self, claims) -> None:
        source = """\
        class Wgan(keras.Model):
            def __init__(self, critic, c=0.05):
                super().__init__()
                self.critic = critic
                self.c = c
            def train_step(self, data):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(self.critic(data))
                weights = self.critic.trainable_variables
                optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
                for w in weights:
                    w.assign(tf.clip_by_value(w, -self.c, self.c))
                return {"loss": loss}
        gan = Wgan(critic)
        gan.compile()
        gan.fit(tf.ones((4, 2)))
        """
        claim = only(claims(source, before=self.TF))
        assert (claim.since, claim.subject, bounds(claim)) == (Since.USE, "critic", (-0.05, 0.05))
        assert ("self.critic", True, 8) in [(note.subject, note.after, note.line) for note in claim.notes]


class TestKeras:
    CLIP = """\
import keras, numpy as np
class Clip(keras.constraints.Constraint):
    def __init__(self, c=2.0):
        self.c = c
    def __call__(self, w):
        return keras.ops.clip(w, -self.c, self.c)
"""

    def test_a_bound_that_the_script_states_counts_more_than_the_objects(self, claims) -> None:
        source = "critic = keras.Sequential([keras.layers.Dense(1, kernel_constraint=Clip(0.1))])\n"
        claim = only(claims(source, before=self.CLIP))
        assert (claim.subject, claim.since, bounds(claim)) == ("critic", Since.UPDATE, (-0.1, 0.1))
        assert claim.constrained is not None
        assert (claim.constrained.constraint, claim.constrained.high) == ("Clip", None)

    def test_a_bound_that_only_the_run_tells_comes_from_the_object(self, claims) -> None:
        source = "import sys\nnet = keras.Sequential([keras.layers.Dense(1, kernel_constraint=Clip(len(sys.argv)))])\n"
        claim = only(claims(source, before=self.CLIP))
        assert claim.constrained is not None
        assert bounds(claim) == (None, None)
        assert (claim.constrained.low, claim.constrained.high) == ("-self.c", "self.c")

    def test_two_models_are_told_apart(self, claims) -> None:
        source = """\
        one = keras.Sequential([keras.layers.Dense(1, kernel_constraint=Clip(0.1))])
        two = keras.Sequential([keras.layers.Dense(1, kernel_constraint=Clip(0.2))])
        """
        found = claims(source, before=self.CLIP)
        assert [(claim.subject, claim.notes[0].subject, claim.notes[0].after) for claim in found] == [
            ("one", "one", True),
            ("two", "two", True),
        ]

    def test_a_class_that_nobody_uses(self, claims) -> None:
        assert claims("model = keras.Sequential([keras.layers.Dense(1)])\n", before=self.CLIP) == []

    def test_non_negative_weights(self, claims) -> None:
        source = "net = keras.Sequential([keras.layers.Dense(1, kernel_constraint='non_neg')])\n"
        claim = only(claims(source, before="import keras\n"))
        assert claim.constrained is not None
        assert (claim.constrained.constraint, bounds(claim)) == ("NonNeg", (0.0, None))

    def test_a_function_as_a_constraint(self, claims) -> None:
        source = (
            "net = keras.Sequential([keras.layers.Dense(1, kernel_constraint=lambda w: keras.ops.clip(w, 0, 1))])\n"
        )
        claim = only(claims(source, before="import keras\n"))
        assert claim.constrained is not None
        assert (claim.constrained.constraint, bounds(claim)) == ("function", (0.0, 1.0))

    def test_a_variable(self, claims) -> None:
        source = "w = tf.Variable([1.0], constraint=lambda v: tf.clip_by_value(v, 0.0, 1.0))\n"
        claim = only(claims(source, before="import tensorflow as tf\n"))
        assert (claim.subject, claim.as_clipped, claim.notes[0].after, bounds(claim)) == ("w", True, True, (0.0, 1.0))

    def test_an_optimizer_that_clips_what_it_has_updated(self, claims) -> None:
        source = """\
        import sys
        class Box(keras.optimizers.SGD):
            def __init__(self, *args, c, **kwargs):
                super().__init__(*args, **kwargs)
                self.c = c
            def update_step(self, gradient, variable, learning_rate):
                super().update_step(gradient, variable, learning_rate)
                variable.assign(keras.ops.clip(variable, -self.c, self.c))
        critic = keras.Sequential([keras.layers.Dense(1)])
        critic.compile(Box(c=len(sys.argv)), "mse")
        """
        claim = only(claims(source, before="import keras\n"))
        assert (claim.subject, claim.since) == ("critic", Since.USE)
        assert [(note.subject, note.high) for note in claim.notes] == [("critic", "critic.optimizer.c")]

    def test_models_that_are_saved(self, tmp_path: Path) -> None:
        script = tmp_path / "train.py"
        script.write_text("import keras\nm = keras.Sequential([keras.layers.Dense(1)])\nm.save('m.keras')\n")
        assert saves_models(script)
        script.write_text(
            "import keras\nm = keras.Sequential([keras.layers.Dense(1)])\nm.save_weights('m.weights.h5')\n"
        )
        assert not saves_models(script)


class TestGradients:
    @pytest.mark.parametrize(
        "clip",
        [
            "nn.utils.clip_grad_norm_(critic.parameters(), 2.0)",
            "ps = [p for p in critic.parameters() if p.requires_grad]\nnn.utils.clip_grad_norm_(ps, max_norm=2.0)",
            "accelerator.clip_grad_norm_(critic.parameters(), 2.0)",
            "scaler.unscale_(optimizer)\nnn.utils.clip_grad_norm_(critic.parameters(), 2.0)",
        ],
    )
    def test_by_norm(self, claims, clip: str) -> None:
        claim = only(claims(_clipped(clip)))
        assert (claim.kind, claim.norm, bounds(claim)) == (Kind.GRADIENTS, 2.0, (None, None))
        assert [note.subject for note in claim.notes] == ["critic"]

    @pytest.mark.parametrize(
        "clip",
        [
            "nn.utils.clip_grad_value_(critic.parameters(), 0.5)",
            "for p in critic.parameters():\n    p.grad.clamp_(-0.5, 0.5)",
            "for p in critic.parameters():\n    if p.grad is not None:\n        p.grad.data.clamp_(-0.5, 0.5)",
        ],
    )
    def test_by_value(self, claims, clip: str) -> None:
        claim = only(claims(_clipped(clip)))
        assert (claim.kind, claim.norm, bounds(claim)) == (Kind.GRADIENTS, None, (-0.5, 0.5))

    def test_of_all_that_an_optimizer_updates(self, claims) -> None:
        clip = "nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g['params']], c)"
        (note,) = only(claims(_clipped(clip))).notes
        assert (note.subject, note.norm) == ("optimizer", "c")

    @pytest.mark.parametrize(
        "clip",
        [
            "nn.utils.clip_grad_norm_(critic.parameters(), float('inf'))",
            "nn.utils.clip_grad_norm_(critic.parameters(), 0)",
            "nn.utils.clip_grad_norm_(critic.parameters(), 1.0, norm_type=1)",
            "for p in critic.parameters():\n    nn.utils.clip_grad_norm_(p, 1.0)",
            "for group in optimizer.param_groups:\n    nn.utils.clip_grad_norm_(group['params'], 1.0)",
            "for p in critic.parameters():\n    if p.dim() > 1:\n        p.grad.clamp_(-1, 1)",
        ],
    )
    def test_what_says_nothing_of_all_gradients(self, claims, clip: str) -> None:
        assert claims(_clipped(clip)) == []

    def test_without_an_update(self, claims) -> None:
        assert claims("def limit(model):\n    nn.utils.clip_grad_norm_(model.parameters(), 1.0)\nlimit(critic)\n") == []

    def test_by_a_keras_optimizer(self, claims) -> None:
        source = "m = keras.Sequential([keras.layers.Dense(1)])\nm.compile(keras.optimizers.SGD({}=0.5), 'mse')\n"
        by_value = only(claims(source.format("clipvalue"), before="import keras\n"))
        assert (bounds(by_value), by_value.notes[0].subject, by_value.notes[0].after) == ((-0.5, 0.5), "m", True)
        assert only(claims(source.format("global_clipnorm"), before="import keras\n")).norm == 0.5
        assert claims(source.format("clipnorm"), before="import keras\n") == []  # of each gradient by itself


def _clipped(clip: str) -> str:
    """A training loop that clips before its update."""
    lines = "optimizer.zero_grad()\ncritic(torch.ones(1, 2)).sum().backward()\n" + clip + "\noptimizer.step()\n"
    return "for step in range(3):\n" + textwrap.indent(lines, "    ")


class TestOutputs:
    MODULE = """\
class {name}(nn.Module):
    {doc}
    def __init__(self, theta=1.0):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta))
    def forward(self, x):
        return {value}
layer = {name}()
"""

    @pytest.mark.parametrize(
        ("value", "low"),
        [
            ("self.theta * torch.tanh(x / self.theta)", "-self.theta"),
            (
                "torch.sign(x) * torch.minimum(x.abs(), self.theta * nn.functional.softplus(x / self.theta))",
                "-self.theta",
            ),
            ("torch.clamp(x, -self.theta, self.theta)", "-self.theta"),
            ("torch.clamp(x, 0, self.theta)", "0.0"),
        ],
    )
    def test_a_layer_that_says_so_by_its_name(self, claims, value: str, low: str) -> None:
        claim = only(
            claims(
                self.MODULE.format(name="SoftClipping", doc="", value=value),
                before="import torch\nfrom torch import nn\n",
            )
        )
        assert (claim.kind, claim.subject) == (Kind.OUTPUTS, "SoftClipping")
        assert [(note.subject, note.line, note.low) for note in claim.notes] == [("self", 9, low)]
        assert claim.constrained is not None
        assert (claim.constrained.constraint, claim.constrained.low, claim.constrained.high) == (
            "SoftClipping",
            low,
            "self.theta",
        )

    def test_a_layer_that_says_so_in_its_docstring(self, claims) -> None:
        source = self.MODULE.format(
            name="Ceiling", doc='"""Clips activations smoothly."""', value="self.theta * torch.tanh(x)"
        )
        assert only(claims(source)).subject == "Ceiling"

    @pytest.mark.parametrize("name", ["Squeeze", "GradientClipping", "ClipLoss", "CLIPTextEncoder"])
    def test_other_layers(self, claims, name: str) -> None:
        assert claims(self.MODULE.format(name=name, doc="", value="self.theta * torch.tanh(x)")) == []

    def test_a_layer_that_adds_to_what_it_clips(self, claims) -> None:
        source = self.MODULE.format(name="ClippedNoise", doc="", value="x + torch.clamp(x, -self.theta, self.theta)")
        assert claims(source) == []

    def test_a_layer_that_nobody_makes(self, claims) -> None:
        source = self.MODULE.format(name="SoftClip", doc="", value="self.theta * torch.tanh(x)").replace(
            "layer = SoftClip()", ""
        )
        assert claims(source) == []


class TestOwnModules:
    HELPER = """\
    def shrink(net, limit):
        for p in net.parameters():
            p.data.clamp_(-limit, limit)
    def other(net):
        for p in net.parameters():
            p.data.clamp_(-5, 5)
    """

    def test_a_helper_in_another_file_is_noted_there(self, claims, tmp_path: Path) -> None:
        claim = only(claims("from helpers import shrink\n" + step("shrink(critic, c)"), helpers=self.HELPER))
        (note,) = claim.notes
        assert (note.path, note.line, note.subject, note.high) == (str(tmp_path / "helpers.py"), 2, "net", "limit")

    def test_a_helper_that_is_not_called_while_training(self, claims) -> None:
        assert claims("from helpers import shrink\nshrink(critic, c)\n" + step(""), helpers=self.HELPER) == []

    def test_code_in_place_of_the_file(self, tmp_path: Path) -> None:
        script = tmp_path / "train.py"
        script.write_text("")
        code = TORCH + step("for p in critic.parameters():\n    p.data.clamp_(-c, c)")
        assert only(claims_of(script, code)).path == str(script)

    def test_no_python(self, tmp_path: Path) -> None:
        script = tmp_path / "train.py"
        script.write_text("clip = (\n")
        with pytest.raises(SourceError):
            claims_of(script)

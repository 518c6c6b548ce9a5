"""Finds Wasserstein critics whose gradients are bounded where their weights are meant to be, and the evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

import libcst as cst

from clipcheck.analysis.comments import read_comments
from clipcheck.analysis.gradient_bounds import read_gradient_bounds
from clipcheck.analysis.reading import FileReading
from clipcheck.model.code import Call, Code
from clipcheck.model.comments import Comment
from clipcheck.model.critics import Evidence, GradientBound, GradientClippedCritic
from clipcheck.model.networks import Network

_CRITIC = re.compile(
    r"critic|discriminator|(^|_)disc(_|$|\d)|^net_?d$|^d(_?(net|model|[ab12xy]))?$|^f_?net$", re.IGNORECASE
)
_NOT_CRITIC = re.compile(r"gan|combined|generator|(^|_)gen(_|$)|adversarial|stacked", re.IGNORECASE)
_ITERATIONS = re.compile(
    r"^(_?n_?critics?|critic_?(iters?|iterations|steps)|n_?(critic|disc)_?(iters?|steps|iterations)|d_?iters)$", re.I
)
_WASSERSTEIN = re.compile(r"wasserstein|wgan|earth_?mover|(^|_)emd(_loss)?$", re.IGNORECASE)
_DISTANCE = re.compile(r"wasserstein_?(distance|dist|metric)", re.IGNORECASE)
_OF = r"[\s_-]*(of |all |the |critic'?s?|discriminator'?s?|its|d'?s?|network)*[\s_-]*"
_WEIGHT_CLIP = re.compile(
    rf"weights?[\s_-]*(are |is |get |being )?cli?pp?|cli?p\w*{_OF}(weights?|params|parameters)"
    rf"|lipschitz|weights? .{{0,20}}(within|in|between|inside) ?\[|clamp\w*{_OF}(weights?|param)",
    re.IGNORECASE,
)
_WGAN_WORDS = re.compile(r"\bw-?gans?\b|wasserstein|lipschitz", re.IGNORECASE)
_FLIPPED = re.compile(r"^-?\s*(m?one|minus_?one|neg_?one|1|mone)\b", re.IGNORECASE)
_REAL_FAKE = re.compile(r"real|fake|valid|gen|true|synth|score|critic|disc", re.IGNORECASE)

_LOSS = re.compile(r"loss|err|cost|obj|wass|emd|dist|(^|_)w_?d(_|$)", re.IGNORECASE)
_OTHER_GAN = re.compile(r"BCE|cross_?entropy|softplus|mse_?loss|log_?sigmoid|lsgan", re.IGNORECASE)
"""What computes the loss of another kind of GAN: beside it, a difference of means may be a figure to print."""

_RESHAPED = frozenset({"view", "reshape", "squeeze", "float"})

_SMALL = 0.1
"""WGAN bounds weights by 0.01; a gradient clip as small as that is hardly ever meant as one."""
_PAPER_RATE = 5e-5


def read_gradient_clipped_critics(reading: FileReading) -> Iterator[GradientClippedCritic]:
    """Critics with a bound on their gradients and none on their weights, one for each bound."""
    bounds = list(read_gradient_bounds(reading))
    if not bounds:
        return
    lipschitz = reading.lipschitz
    if lipschitz.has_penalty or lipschitz.has_spectral_norm or lipschitz.is_reinforcement_learning:
        return
    if lipschitz.clips_weights:
        return
    critics = reading.critics
    seen: set[cst.CSTNode] = set()
    for bound in bounds:
        if bound.at.node in seen or not critics.is_critic(bound.model):
            continue
        evidence = critics.evidence(bound)
        if evidence is not None:
            seen.add(bound.at.node)
            shared = tuple(
                other.model for other in bounds if other.at.node is bound.at.node and not critics.is_critic(other.model)
            )
            yield GradientClippedCritic(bound, bound.model.network, evidence, shared)


class Critics:
    """The evidence in one file."""

    def __init__(self, reading: FileReading) -> None:
        self.reading = reading

    def is_critic(self, model: Code) -> bool:
        """Whether a model's names say that it is the critic."""
        return self.names_critic({model.text} | self.names_of(model.network))

    def names_of(self, network: Network | None) -> set[str]:
        """What a network is called, by its class and by the function that builds it too."""
        if network is None:
            return set()
        function = self.reading.function(network.made.node)
        built = re.sub(r"^_*(build|make|create|define|get)_", "", function.name.value) if function is not None else ""
        return set(network.names) | {network.class_name or "", built if _CRITIC.search(built) else ""}

    def names_critic(self, names: set[str]) -> bool:
        """Whether these names are a critic's."""
        lasts = {name.rpartition(".")[2] for name in names}
        if any(_NOT_CRITIC.search(name) for name in lasts):
            return False
        return any(_CRITIC.search(name) for name in lasts)

    def evidence(self, bound: GradientBound) -> tuple[Evidence, ...] | None:
        """What shows that this bound was meant for the weights of a WGAN critic; None where that is not enough."""
        loss = self._loss(bound)
        if loss is None and self._has_other_loss(bound):
            return None
        iterations = self._iterations
        words = self._words_near(bound)
        small = self._small(bound)
        wgan = self._wgan
        if small is None and words is None:
            return None
        if loss is None and (iterations is None or wgan is None or small is None):
            return None
        name = Evidence("name", bound.model, f"`{bound.model.words}` is the critic")
        rate = self._paper_rate(bound)
        found = [loss, iterations, words, small, None if loss is not None else wgan, rate]
        if sum(piece is not None for piece in found) < 2:
            return None
        return tuple(piece for piece in [*found, name] if piece is not None)

    def under_weight_clipping(self, network: Network | None) -> tuple[Evidence, ...] | None:
        """What shows that a model, some of whose weights are clipped, is a Wasserstein critic; None if too little."""
        trainings = network.trainings if network is not None else ()
        compiled = [training.loss for training in trainings if training.loss is not None]
        loss = self._compiled_loss(compiled[0]) if compiled else next(iter(self._losses), None)
        if loss is None:
            return None
        return tuple(piece for piece in (loss, self._iterations) if piece is not None)

    def _loss(self, bound: GradientBound) -> Evidence | None:
        """The critic's loss where it is compiled with one; else a Wasserstein loss somewhere in the file."""
        for training in self._compilations(bound):
            if training is not None:
                return self._compiled_loss(training)
        return next(iter(self._losses), None)

    def _compilations(self, bound: GradientBound) -> list[Code]:
        """The losses that the critic is compiled with."""
        network = bound.model.network
        trainings = list(network.trainings) if network is not None else []
        if bound.training is not None:
            trainings.insert(0, bound.training)
        return [training.loss for training in trainings if training.loss is not None]

    def _has_other_loss(self, bound: GradientBound) -> bool:
        return bool(self._compilations(bound))

    def _compiled_loss(self, loss: Code) -> Evidence | None:
        for node in self.reading.tree.below(loss.node):
            if isinstance(node, (cst.Name, cst.Attribute, cst.SimpleString)):
                text = self.reading.text(node)
                if _WASSERSTEIN.search(text):
                    return Evidence("loss", self.reading.code(loss.node), "the critic's loss is the Wasserstein loss")
                function = self._function_named(node)
                if function is not None and self._is_score_mean(function):
                    return Evidence("loss", self.reading.code(loss.node), "the critic's loss is a mean of its scores")
        return None

    def _function_named(self, node: cst.CSTNode) -> cst.FunctionDef | cst.Lambda | None:
        name = (
            node.value if isinstance(node, cst.Name) else node.attr.value if isinstance(node, cst.Attribute) else None
        )
        found = [f for f in self.reading.tree.all(cst.FunctionDef) if f.name.value == name]
        return found[0] if len(found) == 1 else None

    def _is_score_mean(self, function: cst.FunctionDef | cst.Lambda) -> bool:
        """`mean(y_true * y_pred)`, also negated."""
        body = [function.body] if isinstance(function, cst.Lambda) else self.reading.origins.returns(function)
        return any(self._is_product_mean(value) for value in body)

    def _is_product_mean(self, node: cst.CSTNode) -> bool:
        for origin in self.reading.origins.of(node):
            while isinstance(origin, cst.UnaryOperation):
                origin = origin.expression
            subject = self._mean_of(origin)
            while isinstance(subject, cst.UnaryOperation):
                subject = subject.expression
            if isinstance(subject, cst.BinaryOperation) and isinstance(subject.operator, cst.Multiply):
                return all(isinstance(side, (cst.Name, cst.UnaryOperation)) for side in (subject.left, subject.right))
        return False

    def _mean_of(self, node: cst.CSTNode) -> cst.BaseExpression | None:
        """What a call takes the mean of."""
        while isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value in _RESHAPED:
            node = node.func.value
        if not isinstance(node, cst.Call):
            return None
        call = Call(node, self.reading)
        api = call.callee.api or ""
        if api.rpartition(".")[2] in ("mean", "reduce_mean") and node.args:
            return node.args[0].value
        if call.method == "mean" and call.receiver is not None and "." not in api:
            return call.receiver.node if isinstance(call.receiver.node, cst.BaseExpression) else None
        return None

    @cached_property
    def _losses(self) -> list[Evidence]:
        """Wasserstein losses in the file: by what they compute, or by their name."""
        return [
            *self._differences(),
            *self._flipped_backwards(),
            *self._separate_backwards(),
            *(
                Evidence("loss", self.reading.code(f.name), "a loss that is a mean of scores")
                for f in self.reading.tree.all(cst.FunctionDef)
                if self._is_score_mean(f)
            ),
            *self._named_losses(),
        ]

    def _differences(self) -> Iterator[Evidence]:
        """`-mean(D(real)) + mean(D(fake))`, `mean(fake) - mean(real)`."""
        for node in self.reading.tree.all(cst.BinaryOperation):
            if not isinstance(node.operator, (cst.Add, cst.Subtract)):
                continue
            left, right = self._signed_score(node.left), self._signed_score(node.right)
            if left is None or right is None:
                continue
            if isinstance(node.operator, cst.Subtract):
                right = -right
            if left == -right and self._is_minimised(node):
                yield Evidence("loss", self.reading.code(node), "a Wasserstein loss: the difference of two mean scores")

    def _is_minimised(self, node: cst.BinaryOperation) -> bool:
        """Whether a difference is a loss by what becomes of it, and not a figure to print."""
        if self._iterations is None and self._wgan is None and any(map(_OTHER_GAN.search, self._identifiers)):
            return False
        for above in self.reading.tree.ancestors(node):
            if isinstance(above, cst.Assign):
                return _LOSS.search(self.reading.text(above.targets[0].target)) is not None
            if isinstance(above, cst.Attribute):
                return above.attr.value == "backward"
            if isinstance(above, (cst.Return, cst.Lambda)):
                return True
            if not isinstance(above, (cst.BinaryOperation, cst.UnaryOperation)):
                return False
        return False

    @cached_property
    def _identifiers(self) -> frozenset[str]:
        return frozenset(name.value for name in self.reading.tree.all(cst.Name))

    def _signed_score(self, node: cst.CSTNode) -> int | None:
        """1 for the mean of a model's scores, -1 for its negative."""
        sign = 1
        while isinstance(node, cst.UnaryOperation):
            sign = -sign if isinstance(node.operator, cst.Minus) else sign
            node = node.expression
        origins = self.reading.origins.of(node)
        if len(origins) != 1:
            return None
        origin = origins[0]
        while isinstance(origin, cst.UnaryOperation):
            sign = -sign if isinstance(origin.operator, cst.Minus) else sign
            origin = origin.expression
        subject = self._mean_of(origin)
        if subject is None or not self._is_score(subject):
            return None
        return sign

    def _is_score(self, node: cst.CSTNode) -> bool:
        """Whether an expression is what a critic says of real or made-up data, by its names and by what it calls."""
        if not isinstance(node, (cst.Name, cst.Attribute, cst.Call, cst.Subscript)):
            return False
        if _REAL_FAKE.search(self.reading.text(node)):
            return not self._squashes(node)
        return any(isinstance(o, cst.Call) and self._calls_critic(o) for o in self.reading.origins.of(node))

    def _calls_critic(self, call: cst.Call) -> bool:
        return self.is_critic(self.reading.code(call.func))

    def _squashes(self, node: cst.CSTNode) -> bool:
        """`mean(log(D(real)))`, `mean(sigmoid(…))`, `mean(relu(1 - …))`: another GAN's loss."""
        return any(
            isinstance(origin, cst.Call)
            and self._last(origin.func) in ("log", "sigmoid", "relu", "softplus", "square", "abs")
            for origin in (node, *self.reading.origins.of(node))
        )

    def _last(self, func: cst.CSTNode) -> str:
        if isinstance(func, cst.Attribute):
            return func.attr.value
        return func.value if isinstance(func, cst.Name) else ""

    def _flipped_backwards(self) -> Iterator[Evidence]:
        """`errD_real.backward(one)`, `errD_fake.backward(mone)`: the sign of each score, as the first code had it."""
        for node in self.reading.tree.all(cst.Call):
            call = Call(node, self.reading)
            sign = call.argument(0) if call.method == "backward" and len(node.args) == 1 else None
            if sign is not None and _FLIPPED.match(sign.code.text):
                yield Evidence("loss", call, "the scores themselves are the loss")

    def _separate_backwards(self) -> Iterator[Evidence]:
        """`loss_real = -D(real).mean(); loss_real.backward()`, and the same for fake with the other sign."""
        signs: dict[int, Call] = {}
        for node in self.reading.tree.all(cst.Call):
            call = Call(node, self.reading)
            if call.method == "backward" and call.receiver is not None:
                sign = self._signed_score(call.receiver.node)
                if sign is not None:
                    signs.setdefault(sign, call)
        if len(signs) == 2:
            yield Evidence("loss", signs[1], "a Wasserstein loss: mean scores of opposite signs")

    def _named_losses(self) -> Iterator[Evidence]:
        for function in self.reading.tree.all(cst.FunctionDef):
            name = function.name.value
            if _WASSERSTEIN.search(name) and "loss" in name.lower():
                yield Evidence("loss", self.reading.code(function.name), f"`{name}` is a Wasserstein loss")
        for node in self.reading.tree.all(cst.Call):
            name = self._last(node.func)
            if _WASSERSTEIN.search(name) and not _DISTANCE.search(name) and "loss" in name.lower():
                yield Evidence("loss", self.reading.code(node.func), f"`{name}` is a Wasserstein loss")

    @cached_property
    def _iterations(self) -> Evidence | None:
        """A name such as `n_critic`."""
        for node in self.reading.tree.all(cst.Name):
            if _ITERATIONS.match(node.value):
                words = f"`{node.value}`: the critic is trained several times for each step of the generator"
                return Evidence("iterations", self.reading.code(node), words)
        return None

    @cached_property
    def _wgan(self) -> Evidence | None:
        """A name or a comment that speaks of WGAN."""
        for node in self.reading.tree.all(cst.Name):
            if _WASSERSTEIN.search(node.value) and not _DISTANCE.search(node.value):
                return Evidence("words", self.reading.code(node), f"the script calls itself `{node.value}`")
        for comment in self._comments:
            if _WGAN_WORDS.search(comment.text):
                return Evidence("words", comment.code, "a comment speaks of WGAN")
        for text in self.reading.tree.all(cst.SimpleString):
            if _WGAN_WORDS.search(text.value):
                return Evidence("words", self.reading.code(text), "the script speaks of WGAN")
        return None

    @cached_property
    def _comments(self) -> list[Comment]:
        return list(read_comments(self.reading))

    def _words_near(self, bound: GradientBound) -> Evidence | None:
        """The bound's own name, or a comment at the clip, that speaks of weights."""
        names = [bound.limit] if bound.limit is not None else []
        for code in names:
            if _WEIGHT_CLIP.search(code.text):
                return Evidence("words", code, f"the bound is called `{code.words}`")
        function = self.reading.function(bound.call.node)
        if function is not None and _WEIGHT_CLIP.search(function.name.value):
            return Evidence(
                "words", self.reading.code(function.name), f"the function is called `{function.name.value}`"
            )
        statement = self._line(bound.call.node)
        around = {statement, *self.reading.tree.below(statement)}
        for comment in self._comments:
            if _WEIGHT_CLIP.search(comment.text) and comment.owner in around:
                return Evidence("words", comment.code, "the comment says that weights are clipped here")
        return None

    def _line(self, node: cst.CSTNode) -> cst.CSTNode:
        for above in (node, *self.reading.tree.ancestors(node)):
            if isinstance(above, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
                return above
        return node

    def _small(self, bound: GradientBound) -> Evidence | None:
        number = bound.limit.number if bound.limit is not None else None
        if bound.limit is None or number is None or not 0 < number <= _SMALL:
            return None
        return Evidence(
            "bound", bound.limit, f"{number:g} is a bound for a critic's weights, small for one of gradients"
        )

    def _paper_rate(self, bound: GradientBound) -> Evidence | None:
        """RMSprop with the learning rate of the paper."""
        made = bound.training.optimizer if bound.training is not None else bound.call
        if made is None or not (made.callee.api or "").endswith(("RMSprop", "RMSPropOptimizer")):
            return None
        position = 1 if (made.callee.api or "").startswith("torch") else 0
        rate = made.argument(position, "lr", "learning_rate")
        if rate is None or rate.code.number != _PAPER_RATE:
            return None
        return Evidence("optimizer", made, "RMSprop at 5e-5 is what the WGAN paper trains with")

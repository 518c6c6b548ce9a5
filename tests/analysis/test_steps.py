"""What happens before and after what, in one iteration of a training step."""

from __future__ import annotations

import textwrap

import pytest

from clipcheck.model.steps import Action, Event, Occurrence, TrainingStep, occurrences
from tests.analysis.reading import script_of

HEAD = "import torch\nfrom torch.nn.utils import clip_grad_norm_\n"


def steps_of(source: str) -> tuple[TrainingStep, ...]:
    return script_of(HEAD + textwrap.dedent(source)).all(TrainingStep)


def clips(source: str) -> list[Occurrence]:
    """Every world's view of the only clip of gradients."""
    (found,) = occurrences(steps_of(source), Action.CLIP_GRADIENTS)
    return found


ALL = (Action.BACKWARD, Action.STEP, Action.ZERO_GRAD, Action.UNSCALE, Action.UNKNOWN)


def words(events: list[Event]) -> set[str]:
    return {event.words for event in events}


def before(source: str) -> list[set[str]]:
    return [words(clip.previous(*ALL)) for clip in clips(source)]


def after(source: str) -> list[set[str]]:
    return [words(clip.next(*ALL)) for clip in clips(source)]


def test_the_end_of_a_loop_leads_to_its_start() -> None:
    source = """
        for x in loader:
            clip_grad_norm_(model.parameters(), 1.0)
            loss.backward()
            optimizer.step()
    """
    assert before(source) == [{"optimizer.step()"}]
    assert after(source) == [{"loss.backward()"}]


def test_a_function_that_is_a_whole_step_is_called_again_and_again() -> None:
    source = """
        def train_step(model, optimizer, loss):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            clip_grad_norm_(model.parameters(), 1.0)
    """
    assert after(source) == [{"optimizer.zero_grad()"}]


def test_a_loop_over_batches_runs_at_least_once() -> None:
    source = """
        def train(model, optimizer, parts):
            optimizer.zero_grad()
            clip_grad_norm_(model.parameters(), 1.0)
            for x in parts:
                model(x).backward()
            optimizer.step()
    """
    assert after(source) == [{"model(x).backward()"}]


def test_a_while_loop_may_not_run_at_all() -> None:
    source = """
        def train(model, optimizer, more):
            clip_grad_norm_(model.parameters(), 1.0)
            while more():
                model().backward()
            optimizer.step()
    """
    assert after(source) == [{"model().backward()", "optimizer.step()"}]


@pytest.mark.parametrize("test", ["use_amp", "use_amp is not None", "use_amp != 0", "use_amp > 0", "use_amp == True"])
def test_two_tests_of_one_flag_have_one_outcome(test: str) -> None:
    source = f"""
        def train(model, optimizer, scaler, loss, use_amp):
            if use_amp:
                scaler.scale(loss).backward()
            else:
                loss.backward()
            clip_grad_norm_(model.parameters(), 1.0)
            if {test}:
                scaler.step(optimizer)
            else:
                optimizer.step()
    """
    assert list(zip(before(source), after(source), strict=True)) == [
        ({"scaler.scale(loss).backward()"}, {"scaler.step(optimizer)"}),
        ({"loss.backward()"}, {"optimizer.step()"}),
    ]


def test_a_negated_test_is_the_same_flag() -> None:
    source = """
        def train(model, optimizer, loss, done):
            if not done:
                loss.backward()
            if done:
                return
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    """
    assert before(source) == [{"loss.backward()"}]


def test_continue_skips_the_rest_of_the_loop() -> None:
    source = """
        def train(model, optimizer, loader, n):
            for i, x in enumerate(loader):
                model(x).backward()
                if (i + 1) % n != 0:
                    continue
                clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
    """
    assert after(source) == [{"optimizer.step()"}]


def test_a_handler_takes_over_after_any_part_of_the_body() -> None:
    source = """
        def train(model, optimizer, loss):
            try:
                loss.backward()
                optimizer.step()
            except RuntimeError:
                pass
            clip_grad_norm_(model.parameters(), 1.0)
    """
    assert before(source) == [{"loss.backward()", "optimizer.step()"}]


def test_the_scaled_block_of_apex_unscales_when_it_is_left() -> None:
    source = """
        def train(model, optimizer, loss, amp):
            with amp.scale_loss(loss, optimizer) as scaled:
                scaled.backward()
            clip_grad_norm_(model.parameters(), 1.0)
    """
    (seen,) = clips(source)
    assert [event.action for event in seen.previous(*ALL)] == [Action.UNSCALE]


def test_a_closure_runs_before_the_update_of_its_step() -> None:
    source = """
        def train(model, optimizer, loss):
            def closure():
                optimizer.zero_grad()
                loss().backward()
                clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step(closure)
    """
    assert before(source) == [{"loss().backward()"}]
    assert after(source) == [{"optimizer.step(closure)"}]


@pytest.mark.parametrize(("arguments", "model"), [("1.0, 2.0", "net"), ("1.0, other.parameters()", None)])
def test_a_bound_comes_first_where_what_is_clipped_clips_itself(arguments: str, model: str | None) -> None:
    """FSDP takes the norm and its type; parameters behind a number are handed over in the wrong order."""
    (clip,) = clips(f"for x in loader:\n    loss.backward()\n    net.clip_grad_norm_({arguments})\n")
    assert clip.event.model == model


def test_a_closure_that_leads_to_its_own_step_ends() -> None:
    source = """
        def first():
            loss = optimizer.step(second)
            clip_grad_norm_(model.parameters(), 1.0)
            return loss

        def second():
            return optimizer.step(first)

        optimizer.step(first)
    """
    assert after(source) == [{"optimizer.step(first)"}]


def test_helpers_and_methods_of_the_file_are_looked_into() -> None:
    source = """
        def update(opt):
            opt.step()

        class Trainer:
            def __init__(self, model):
                self.model = model
                self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

            def backward(self, loss):
                self.optimizer.zero_grad()
                loss.backward()

            def train(self, loss):
                self.backward(loss)
                clip_grad_norm_(self.model.parameters(), 1.0)
                update(self.optimizer)
    """
    (clip,) = clips(source)
    (step,) = clip.next(Action.STEP)
    assert words(clip.previous(*ALL)) == {"loss.backward()"}
    assert step.optimizer == "self.optimizer"
    assert [call.words for call in step.via] == ["update(self.optimizer)"]
    assert clip.step.concerns(clip.event, step) is True


def test_an_unknown_call_with_the_optimizer_may_do_anything() -> None:
    source = """
        def train(model, optimizer, loss, helper):
            loss.backward()
            helper.refine(optimizer)
            clip_grad_norm_(model.parameters(), 1.0)
    """
    assert before(source) == [{"helper.refine(optimizer)"}]


@pytest.mark.parametrize("call", ["print(optimizer)", "scheduler.step(optimizer)", "log.info(optimizer)"])
def test_a_call_that_only_looks_is_passed_over(call: str) -> None:
    source = f"""
        def train(model, optimizer, loss, scheduler, log):
            loss.backward()
            {call}
            clip_grad_norm_(model.parameters(), 1.0)
    """
    assert before(source) == [{"loss.backward()"}]


@pytest.mark.parametrize(("first", "seen"), [(5, "loss.backward()"), (0, "h5(loss)")])
def test_a_helper_that_lies_too_deep_is_unknown_if_it_trains(first: int, seen: str) -> None:
    helpers = "\n".join(f"def h{i}(loss):\n    h{i + 1}(loss)" for i in range(9))
    source = f"""
def h9(loss):
    loss.backward()

def train(model, optimizer, loss):
    optimizer.zero_grad()
    h{first}(loss)
    clip_grad_norm_(model.parameters(), 1.0)
"""
    assert before(helpers + source) == [{seen}]


TWO = """
    critic, generator = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    optimizer_c = torch.optim.SGD({critic}, lr=0.1)
    optimizer_g = torch.optim.SGD(generator.parameters(), lr=0.1)
    for x in loader:
        loss.backward()
        clip_grad_norm_(critic.parameters(), 1.0)
        optimizer_g.step()
        optimizer_c.step()
"""


@pytest.mark.parametrize(
    "critic",
    [
        "critic.parameters()",
        "list(critic.parameters())",
        "filter(lambda p: p.requires_grad, critic.parameters())",
        "[{{'params': critic.parameters()}}]".replace("{{", "{").replace("}}", "}"),
    ],
)
def test_the_step_of_another_models_optimizer_is_passed_over(critic: str) -> None:
    assert after(TWO.replace("{critic}", critic)) == [{"optimizer_c.step()"}]


@pytest.mark.parametrize("critic", ["critic.parameters()", "everything", "unknown(critic)"])
def test_an_optimizer_of_parameters_that_are_not_known_may_be_the_clips(critic: str) -> None:
    source = TWO.replace("{critic}", "critic.parameters()").replace("generator.parameters()", critic)
    assert after(source) == [{"optimizer_g.step()"}]


def test_an_optimizer_of_several_models_is_each_ones_own() -> None:
    source = TWO.replace("{critic}", "critic.parameters()").replace(
        "SGD(generator.parameters()", "SGD([*generator.parameters(), *critic.parameters()]"
    )
    assert after(source) == [{"optimizer_g.step()"}]


def test_a_wrapped_model_is_the_model() -> None:
    source = """
        model = torch.nn.Linear(1, 1)
        other = torch.nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        other_optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
        wrapped = torch.nn.DataParallel(model)
        loss.backward()
        clip_grad_norm_(wrapped.parameters(), 1.0)
        other_optimizer.step()
        optimizer.step()
    """
    assert after(source) == [{"optimizer.step()"}]


def test_variables_of_two_helpers_are_two_objects() -> None:
    source = """
        def pretrain(loss):
            model = torch.nn.Linear(1, 1)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        def train(loss):
            model = torch.nn.Linear(1, 1)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            clip_grad_norm_(model.parameters(), 1.0)
            loss.backward()
            optimizer.step()

        pretrain(loss)
        train(loss)
    """
    (clip,) = clips(source)
    assert clip.previous(Action.STEP, Action.ZERO_GRAD) == []


def test_a_model_that_is_handed_to_the_constructor_is_the_attribute() -> None:
    source = """
        class Agent:
            def __init__(self, actor, critic):
                self.actor = actor
                self.critic = critic
                self.actor_opt = torch.optim.SGD(actor.parameters(), lr=0.1)
                self.critic_opt = torch.optim.SGD(critic.parameters(), lr=0.1)

            def learn(self, loss):
                loss.backward()
                clip_grad_norm_(self.critic.parameters(), 1.0)
                self.actor_opt.step()
                self.critic_opt.step()
    """
    assert after(source) == [{"self.critic_opt.step()"}]


def test_a_model_under_a_name_that_no_optimizer_knows_may_be_any_of_them() -> None:
    source = """
        def train(ddp, loss):
            model = torch.nn.Linear(1, 1)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            raw = model.module if ddp else model
            loss.backward()
            clip_grad_norm_(raw.parameters(), 1.0)
            optimizer.step()
    """
    assert after(source) == [{"optimizer.step()"}]


def test_a_model_that_is_handed_to_a_helper_is_the_callers() -> None:
    source = """
        def train(first, second, loss):
            first_opt = torch.optim.SGD(first.parameters(), lr=0.1)
            second_opt = torch.optim.SGD(second.parameters(), lr=0.1)
            loss.backward()
            clip_grad_norm_(second.parameters(), 1.0)
            first_opt.step()
            second_opt.step()

        actor, critic = make()
        train(actor, critic, loss)
    """
    (clip,) = clips(source)
    assert clip.event.models == {"critic"}
    assert words(clip.next(*ALL)) == {"second_opt.step()"}


def test_all_steps_up_to_the_next_backward_pass_use_what_is_clipped() -> None:
    source = """
        for x in loader:
            loss.backward()
            clip_grad_norm_(itertools.chain(a.parameters(), b.parameters()), 1.0)
            opt_a.step()
            opt_b.step()
    """
    (clip,) = clips(source)
    assert words(clip.until(Action.STEP, Action.BACKWARD)) == {"opt_a.step()", "opt_b.step()"}


@pytest.mark.parametrize(("bound", "nothing"), [("float('inf')", True), ("0", True), ("0.0", True), ("0.1", False)])
def test_a_clip_with_an_infinite_threshold_or_zero_is_not_meant_to_bound(bound: str, nothing: bool) -> None:
    (clip,) = clips(f"clip_grad_norm_(model.parameters(), {bound})")
    assert clip.event.bounds_nothing is nothing


def test_a_step_is_read_only_where_something_is_clipped() -> None:
    source = """
        def train(optimizer, loss):
            loss.backward()
            optimizer.step()
    """
    assert steps_of(source) == ()


def test_the_worlds_of_many_tests_are_limited() -> None:
    tests = "\n".join(f"    if flag{i}:\n        optimizer.step()" for i in range(30))
    (step,) = steps_of(f"def train(model, optimizer):\n{tests}\n    clip_grad_norm_(model.parameters(), 1.0)\n")
    assert len(step.graphs) <= 64

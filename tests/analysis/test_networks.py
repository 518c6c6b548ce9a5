"""Which models a script makes, what they are called, of which layers they are made, and what trains them."""

from __future__ import annotations

from clipcheck.model.networks import Network
from tests.analysis.reading import script_of


def networks(source: str) -> dict[str, Network]:
    """The models of a script, by each of their names."""
    return {name: network for network in script_of(source).all(Network) for name in network.names}


def layer_names(network: Network) -> list[str]:
    return [layer.api.rpartition(".")[2] for layer in network.layers]


def test_the_layers_of_a_sequential_model_stand_in_its_list_or_are_added() -> None:
    found = networks(
        """
        from tensorflow import keras
        from tensorflow.keras.layers import Dense, LeakyReLU
        model = keras.Sequential([keras.Input((2,)), Dense(8), LeakyReLU()])
        model.add(Dense(1, use_bias=False))
        """
    )
    assert layer_names(found["model"]) == ["Dense", "LeakyReLU", "Dense"]
    assert found["model"].is_complete
    assert [layer.unconstrained for layer in found["model"].layers] == [
        ("kernel_constraint", "bias_constraint"),
        (),
        ("kernel_constraint",),
    ]


def test_a_functional_model_is_followed_from_its_output_through_helpers_to_its_inputs() -> None:
    found = networks(
        """
        import keras
        from keras import layers

        def block(x, width):
            x = layers.Dense(width)(x)
            return layers.BatchNormalization()(x)

        def build(size):
            inputs = keras.Input((size,))
            x = inputs
            for width in (8, 4):
                x = block(x, width)
            scores = layers.Dense(1)(layers.concatenate([x, inputs]))
            unused = layers.Embedding(3, 3)(inputs)
            return keras.Model(inputs, scores)

        critic = build(2)
        """
    )
    assert layer_names(found["critic"]) == ["Dense", "BatchNormalization", "Dense"]
    assert found["critic"].is_complete
    assert found["critic"].has_moving_statistics


def test_what_the_file_does_not_show_makes_a_model_incomplete() -> None:
    found = networks(
        """
        import keras
        from keras import layers
        from blocks import residual
        inputs = keras.Input((2,))
        imported = keras.Model(inputs, layers.Dense(1)(residual(inputs)))
        listed = keras.Sequential(make_layers())
        base = keras.applications.VGG16()
        tuned = keras.Model(base.input, layers.Dense(1)(base.output))
        """
    )
    assert not any(found[name].is_complete for name in ("imported", "listed", "tuned"))


def test_a_subclass_owns_the_layers_of_its_attributes_and_of_its_own_blocks() -> None:
    found = networks(
        """
        import keras

        class Block(keras.layers.Layer):
            def __init__(self):
                super().__init__()
                self.dense = keras.layers.Dense(4)

        class Critic(keras.Model):
            def __init__(self):
                super().__init__()
                self.block = Block()
                self.score = keras.layers.TimeDistributed(keras.layers.Dense(1))

        critic = Critic()
        """
    )
    critic = found["critic"]
    assert critic.class_name == "Critic"
    assert layer_names(critic) == ["Dense", "Dense"]
    assert critic.layers[1].call.words.startswith("keras.layers.TimeDistributed")
    assert critic.layers[1].owner.words == "keras.layers.Dense(1)"


def test_a_model_goes_by_the_names_of_variables_attributes_and_parameters() -> None:
    found = networks(
        """
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Linear(2, 1)

        class Trainer:
            def __init__(self, critic):
                self.D = critic.cuda()

        def evaluate(judge):
            ...

        netD, netG = Net(), Net()
        trainer = Trainer(nn.DataParallel(netD))
        evaluate(judge=netG)
        """
    )
    assert found["netD"].names == {"netD", "critic", "self.D"}
    assert found["netG"].names == {"netG", "judge"}


def test_what_trains_a_keras_model_is_found_through_variables_and_methods() -> None:
    found = networks(
        """
        import keras

        class GAN:
            def __init__(self):
                optimizer = keras.optimizers.RMSprop(5e-5)
                self.critic = self.build()
                self.critic.compile(optimizer=optimizer, loss=self.wasserstein)

            def build(self):
                return keras.Sequential([keras.layers.Dense(1)])
        """
    )
    (training,) = found["self.critic"].trainings
    assert training.optimizer is not None
    assert training.optimizer.words == "keras.optimizers.RMSprop(5e-5)"
    assert training.loss is not None
    assert training.loss.words == "self.wasserstein"


def test_what_trains_a_torch_module_is_the_optimizer_that_holds_its_parameters() -> None:
    found = networks(
        """
        import itertools, torch
        from torch import nn
        a, b, c = nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1)), nn.Sequential(nn.ReLU())
        one = torch.optim.Adam(filter(lambda p: p.requires_grad, b.parameters()))
        two = torch.optim.SGD(list(b.parameters()) + list(c.parameters()), lr=0.1)
        """
    )
    assert [training.at.callee.text for training in found["b"].trainings] == ["torch.optim.Adam", "torch.optim.SGD"]
    assert [training.at.callee.text for training in found["c"].trainings] == ["torch.optim.SGD"]

"""Trains cells on Penn Treebank beside the same model built of nn.GRU or nn.LSTM: same data, settings and schedule.

Both models are embedding, one recurrent layer and readout, with weights drawn from the same distribution, trained with
the recipe `penn_treebank` (R31). Perplexities should be equal within the noise of seeds. nn.GRU resets after the
matrix, so it is compared with the zoo's `gru_torch`; nn.LSTM with `lstm_torch`.
"""

import argparse
import math
import sys
from collections.abc import Sequence

import torch
from tables import table
from torch import nn
from torch.nn.functional import cross_entropy

from archsearch.graph.catalog import load_cell
from archsearch.tasks.penn_treebank import PennTreebank
from archsearch.training.minibatch import Minibatch
from archsearch.training.model import build_model
from archsearch.training.schedule import next_learning_rate
from archsearch.training.trainer import Trainer
from archsearch.training.width import hidden_size_for
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe

_EXAMPLES = """\
examples:
  python benchmarks/penn_treebank.py --path FOLDER                            200,000 parameters, 1 epoch, 2 seeds
  python benchmarks/penn_treebank.py --path FOLDER --parameters 5000000 --epochs 30 --cells gru_torch
"""


class TorchModel(nn.Module):
    """Embedding, one of torch's own recurrent layers, readout."""

    def __init__(self, kind: str, num_symbols: int, hidden_size: int, scale: float, seed: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_symbols, hidden_size)
        self.layer = (nn.GRU if kind == "gru_torch" else nn.LSTM)(hidden_size, hidden_size)
        self.readout = nn.Linear(hidden_size, num_symbols)
        generator = torch.Generator().manual_seed(seed)
        bound = scale / math.sqrt(hidden_size)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if "bias" in name:
                    parameter.zero_()
                else:
                    parameter.uniform_(-bound, bound, generator=generator)

    def forward(self, inputs: torch.Tensor, state: object) -> tuple[torch.Tensor, object]:
        """Returns `[T, B, V]` unnormalized log probabilities and the state."""
        outputs, state = self.layer(self.embedding(inputs), state)
        return self.readout(outputs), state


def detached(state: object) -> object:
    """Returns a state without its history."""
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()  # type: ignore[attr-defined]


def perplexity(model: TorchModel, minibatches: Sequence[Minibatch]) -> float:
    """Returns the perplexity on held-out data."""
    state, nats, count = None, 0.0, 0
    with torch.inference_mode():
        for minibatch in minibatches:
            predictions, state = model(minibatch.inputs, None if minibatch.starts else state)
            nats += float(cross_entropy(predictions.flatten(0, 1), minibatch.targets, reduction="sum"))
            count += len(minibatch.targets)
    return math.exp(nats / count)


def train_torch(kind: str, task: PennTreebank, setting: Setting, recipe: Recipe, hidden_size: int, seed: int) -> float:
    """Returns the best validation perplexity of the model built of torch's layer."""
    model = TorchModel(kind, len(task.symbols), hidden_size, setting.init_scale, seed)
    validation = [Minibatch.from_batch(b) for b in task.held_out("validation", recipe.batch_size, recipe.unroll)]
    batches = task.training(0, recipe.batch_size, recipe.unroll)
    rate: float | None = setting.learning_rate
    found: list[float] = []
    state: object = None
    while rate is not None:
        for _ in range(task.epoch_steps(recipe.batch_size, recipe.unroll)):
            minibatch = Minibatch.from_batch(next(batches))
            predictions, state = model(minibatch.inputs, None if minibatch.starts else detached(state))
            loss = cross_entropy(predictions.flatten(0, 1), minibatch.targets, reduction="sum")
            model.zero_grad()
            (loss / recipe.batch_size).backward()
            nn.utils.clip_grad_norm_(model.parameters(), setting.max_gradient_norm)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= rate * parameter.grad
        found.append(perplexity(model, validation))
        print(f"  torch's {kind}, seed {seed}: epoch {len(found)}, perplexity {found[-1]:.2f}", flush=True)
        rate = next_learning_rate(setting.learning_rate, [1 / value for value in found], recipe)
    return min(found)


def train_cell(kind: str, task: PennTreebank, setting: Setting, recipe: Recipe, hidden_size: int, seed: int) -> float:
    """Returns the best validation perplexity of the model built of the graph."""
    cell = load_cell(kind).canonical()
    model = build_model(cell, task.interface, hidden_size, setting, recipe, "auto", seed)
    trainer = Trainer(model, task, setting, recipe, data_seed=0)
    steps = recipe.max_epochs * task.epoch_steps(recipe.batch_size, recipe.unroll)
    called = f"  the graph {kind}, seed {seed}"
    trainer.run(steps, lambda point: print(f"{called}: step {point.step}, perplexity {point.value:.2f}", flush=True))
    return min(point.value for point in trainer.curve)


def main(words: Sequence[str]) -> None:
    """Prints the best validation perplexities of both."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", required=True, help="folder with Mikolov's three files")
    parser.add_argument("--cells", nargs="+", default=["gru_torch", "lstm_torch"], choices=["gru_torch", "lstm_torch"])
    parser.add_argument("--parameters", type=int, default=200_000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--steps", type=int, default=None, help="in an epoch; the whole text if not given")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=0.5)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    task = PennTreebank("penn_treebank", path=options.path, measures="perplexity", epoch=options.steps)
    recipe = Recipe(schedule="decay", constant_epochs=4, decay=0.5, max_epochs=options.epochs)
    setting = Setting(1.0, options.learning_rate, 5.0, 1, options.parameters)
    rows = []
    for kind in options.cells:
        structure = load_cell(kind).canonical().structure
        hidden_size = hidden_size_for(structure, task.interface, 1, options.parameters)
        for seed in range(options.seeds):
            mine = train_cell(kind, task, setting, recipe, hidden_size, seed)
            torchs = train_torch(kind, task, setting, recipe, hidden_size, seed)
            rows.append({"cell": kind, "seed": seed, "units": hidden_size, "graph": mine, "torch": torchs})
    print(table(tuple(rows[0]), [list(row.values()) for row in rows]))


if __name__ == "__main__":
    main(sys.argv[1:])

"""One training step of many models at once, in which the host looks at no number.

Shapes: `P` members, `T` time steps, `B` sequences.
"""

from typing import Any

import torch
from torch import Tensor

from archsearch.compiler.vectorized.replay import Replay, weakly
from archsearch.training.population_data import NUM_ABREAST, Chunk
from archsearch.training.population_model import CarriedStates, PopulationModel
from archsearch.training.population_records import LOSS, NORM, MemberRecords
from archsearch.training.trainer import MAX_LOSS_FACTOR


class PopulationStep:
    """Takes training steps on minibatches of one shape, each member as `Trainer` takes one.

    A member that diverged, or does not train any more, keeps its weights; what becomes of its numbers touches no other.

    Args:
        model: Trained in place.
        like: A chunk of such minibatches, for their sizes.
        streams: `[P]`: the stream that each member reads.
        records: Of the members.
        carried: States between minibatches.
        num_steps: Steps taken by the population so far, one integer, which each step raises.
        pool: See `Replay`.
    """

    def __init__(
        self,
        model: PopulationModel,
        like: Chunk,
        streams: Tensor,
        records: MemberRecords,
        carried: CarriedStates,
        num_steps: Tensor,
        pool: Any = None,
    ) -> None:
        device = model.weights.values.device
        self._model = model
        self._layers = model.layers(like.shape)
        self._streams = streams
        self._records = records
        self._carried = carried
        self._num_steps = num_steps
        self._chunk = Chunk.empty(like, NUM_ABREAST, device)
        self._number = torch.zeros((), dtype=torch.int64, device=device)
        states = [carried.of(level, layer) for level, layer in enumerate(self._layers.passes)]
        changed = [model.weights.values, *records.tensors, num_steps, self._number]
        changed += [state for layer in states for state in layer.values()]
        self._replay = Replay(weakly(self._work), changed, device, pool)

    def load(self, chunk: Chunk) -> None:
        """Takes the minibatches of the next steps."""
        self._chunk.take(chunk)
        self._number.zero_()

    def take(self) -> None:
        """Takes a step on the next minibatch; on a GPU it is only begun."""
        self._replay()

    def _work(self) -> None:
        model, layers = self._model, self._layers
        inputs, targets, scored, starts, batch_sizes = self._chunk.of(self._number, self._streams)
        self._number.add_(1)
        self._num_steps.add_(1)
        model.input.look_up(inputs, layers.inputs)
        layers.forward(model.fresh(starts), self._carried)
        loss = model.readout.loss(layers.outputs, targets, scored, batch_sizes.reciprocal(), layers.d_outputs)
        layers.backward()
        model.input.collect(inputs, layers.d_inputs)
        model.weights.mask_gradients()
        of_zeros = model.readout.loss_of_zeros(targets, scored)
        has_usable_loss = self._record_loss(loss, scored.flatten(1).sum(dim=1), of_zeros)
        self._descend(has_usable_loss)

    def _record_loss(self, loss: Tensor, num_scored: Tensor, of_zeros: Tensor | None) -> Tensor:
        """Adds up `[P]` losses of `[P]` positions and returns `[P]`, whether a member goes on with its loss.

        Zeros have the losses `of_zeros`, where targets have a scale of their own: beside rare events, too, it is theirs
        that a loss is measured by.
        """
        records = self._records
        trains = records.is_active & (records.stop_step == 0)
        each, blind = loss / num_scored.clamp(min=1), records.blind_loss
        first = torch.where(each == 0, 1.0, each)  # of the first step: small weights know nothing
        blind.copy_(torch.where(blind.isnan() & (num_scored > 0), first, blind))
        usual = torch.where(blind.isnan(), 1.0, blind) * num_scored
        bound = MAX_LOSS_FACTOR * (usual if of_zeros is None else torch.maximum(usual, of_zeros))
        is_usable = trains & (loss <= bound)  # not for NaN either
        records.loss_sum.add_(torch.where(is_usable, loss, 0.0))
        records.num_scored.add_(torch.where(is_usable, num_scored, 0))
        self._stop(trains & ~is_usable, LOSS, each)
        return is_usable

    def _descend(self, may_descend: Tensor) -> None:
        """Takes a step with clipped gradients, for those of `[P]` members that may and have finite norms."""
        weights, records = self._model.weights, self._records
        norm = torch.linalg.vector_norm(weights.gradients, dim=1).double()
        moves = may_descend & (norm < float("inf"))
        clipped = torch.where(norm > records.max_gradient_norm, records.max_gradient_norm / norm, 1.0)
        rate = torch.where(moves, records.learning_rate * clipped, 0.0).to(weights.values.dtype)
        gradients = torch.where(moves[:, None], weights.gradients, 0.0)  # zero times NaN would be NaN
        weights.values.addcmul_(gradients, rate[:, None], value=-1)
        self._stop(may_descend & ~moves, NORM, norm)

    def _stop(self, diverged: Tensor, kind: int, number: Tensor) -> None:
        records = self._records
        records.stop_step.copy_(torch.where(diverged, self._num_steps, records.stop_step))
        records.stop_kind.copy_(torch.where(diverged, kind, records.stop_kind))
        records.stop_number.copy_(torch.where(diverged, number, records.stop_number))

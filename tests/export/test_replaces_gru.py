"""A training script of a project that knows nothing of archsearch: one line takes the exported cell in."""

import subprocess
import sys

import pytest

from archsearch.export.python_source import export_python

LINE = "from torch.nn import GRU"
SCRIPT = f"""
import sys

for name in ("archsearch", "networkx", "ray", "hydra"):
    sys.modules[name] = None  # importing it fails

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

{LINE}

torch.manual_seed(0)
torch.set_num_threads(1)


class Adder(nn.Module):
    # adds the numbers that are marked, as in Hochreiter and Schmidhuber 1997
    def __init__(self, recurrent):
        super().__init__()
        self.recurrent = recurrent
        self.readout = nn.Linear(recurrent.hidden_size, 1)

    def forward(self, x, lengths):
        self.recurrent.flatten_parameters()
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output, last = self.recurrent(packed)
        padded, _ = pad_packed_sequence(output, batch_first=True)
        assert padded.shape[2] == self.recurrent.hidden_size
        return self.readout(last[-1])[:, 0]


model = Adder(GRU(input_size=2, hidden_size=24, num_layers=2, batch_first=True, dropout=0.1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
losses = []
for step in range(30):
    lengths = torch.randint(3, 8, (32,))
    inside = torch.arange(7) < lengths[:, None]
    x = torch.stack([torch.rand(32, 7), torch.randint(0, 2, (32, 7)).float()], dim=-1) * inside[..., None]
    target = (x[..., 0] * x[..., 1]).sum(1)
    loss = nn.functional.mse_loss(model(x, lengths), target)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())
print(sum(losses[:5]) / 5, sum(losses[-5:]) / 5)
"""


@pytest.mark.parametrize("cell", [None, "gru", "mut1"])
def test_one_line_replaces_nn_gru(cell, tmp_path):
    script = SCRIPT
    if cell:
        (tmp_path / "found.py").write_text(export_python(cell, "Found"))
        script = script.replace(LINE, "from found import Found as GRU")
        assert script != SCRIPT
    path = tmp_path / "train.py"
    path.write_text(script)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, last = map(float, done.stdout.split())
    assert last < first / 2

# LSTM with working memory connections: Landi 2021, arXiv 2109.00020. The gates see a squashed projection of the cell.
i = sigmoid(linear(x, h, name=input) + tanh(linear(c, name=input_memory)))
f = sigmoid(linear(x, h, name=forget) + tanh(linear(c, name=forget_memory)))
g = tanh(linear(x, h, name=candidate))
c' = f * c + i * g
o = sigmoid(linear(x, h, name=output) + tanh(linear(c', name=output_memory)))
h' = o * tanh(c')

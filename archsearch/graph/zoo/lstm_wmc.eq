# LSTM with working memory connections: Landi 2021, arXiv 2109.00020. The gates see a squashed projection of the cell.
a = tanh(linear(c, name=input_memory))
i = sigmoid(linear(x, h, name=input) + a)
b = tanh(linear(c, name=forget_memory))
f = sigmoid(linear(x, h, name=forget) + b)
g = tanh(linear(x, h, name=candidate))
c' = f * c + i * g
d = tanh(linear(c', name=output_memory))
o = sigmoid(linear(x, h, name=output) + d)
h' = o * tanh(c')

# T-RNN, the strongly typed RNN: Balduzzi 2016, arXiv 1602.02218. No matrix reads the state; the content has no bias.
z = linear(x, bias=no, name=content)
f = sigmoid(linear(x, name=forget))
h' = f * h + (1 - f) * z

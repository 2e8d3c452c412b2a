# NFG of Greff 2017, arXiv 1503.04069: lstm_peephole without its forget gate, f = 1.
z = tanh(linear(x, h, name=candidate))
i = sigmoid(linear(x, h, name=input) + peephole(c, name=input_c))
c' = z * i + c
o = sigmoid(linear(x, h, name=output) + peephole(c', name=output_c))
h' = tanh(c') * o

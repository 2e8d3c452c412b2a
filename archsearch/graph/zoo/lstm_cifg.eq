# CIFG of Greff 2017, arXiv 1503.04069: lstm_peephole with coupled input and forget gate, f = 1 - i.
z = tanh(linear(x, h, name=candidate))
i = sigmoid(linear(x, h, name=input) + peephole(c, name=input_c))
c' = z * i + c * (1 - i)
o = sigmoid(linear(x, h, name=output) + peephole(c', name=output_c))
h' = tanh(c') * o

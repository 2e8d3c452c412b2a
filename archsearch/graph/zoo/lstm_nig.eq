# NIG of Greff 2017, arXiv 1503.04069: lstm_peephole without its input gate, i = 1.
z = tanh(linear(x, h, name=candidate))
f = sigmoid(linear(x, h, name=forget) + peephole(c, name=forget_c))
c' = z + c * f
o = sigmoid(linear(x, h, name=output) + peephole(c', name=output_c))
h' = tanh(c') * o

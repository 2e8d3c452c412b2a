# NOAF of Greff 2017, arXiv 1503.04069: lstm_peephole without its output activation function, h(x) = x.
z = tanh(linear(x, h, name=candidate))
i = sigmoid(linear(x, h, name=input) + peephole(c, name=input_c))
f = sigmoid(linear(x, h, name=forget) + peephole(c, name=forget_c))
c' = z * i + c * f
o = sigmoid(linear(x, h, name=output) + peephole(c', name=output_c))
h' = c' * o

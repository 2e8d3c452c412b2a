# The cell that neural architecture search found on Penn Treebank: Zoph 2017, arXiv 1611.01578.
a = tanh(sigmoid(linear(x, h, name=gate_1)) * relu(linear(x, h, name=gate_2)))
b = tanh(sigmoid(linear(x, h, name=gate_3)) + relu(linear(x, h, name=gate_4)))
d = tanh(tanh(linear(x, h, name=gate_5)) * sigmoid(linear(x, h, name=gate_6)))
e = sigmoid(tanh(linear(x, h, name=gate_7)) + sigmoid(linear(x, h, name=gate_8)))
c' = tanh(a + c) * b
h' = tanh(c' * tanh(d + e))

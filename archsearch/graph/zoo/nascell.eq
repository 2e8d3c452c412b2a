# The cell that neural architecture search found on Penn Treebank: Zoph 2017, arXiv 1611.01578, with the biases of its
# author's code (TensorFlow's NASCell). The fourth pair of matrices is multiplied; its bias goes with the state.
a = sigmoid(linear(x, h, name=gate_1))
b = relu(linear(x, h, name=gate_2))
d = sigmoid(linear(x, h, name=gate_3))
e = relu(linear(x, bias=no, name=gate_4_1) * linear(h, name=gate_4_2))
f = tanh(linear(x, h, name=gate_5))
g = sigmoid(linear(x, h, name=gate_6))
i = tanh(linear(x, h, name=gate_7))
j = sigmoid(linear(x, h, name=gate_8))
p = tanh(f * g)
q = sigmoid(i + j)
c' = tanh(tanh(a * b) + c) * tanh(d + e)
h' = tanh(c' * tanh(p + q))

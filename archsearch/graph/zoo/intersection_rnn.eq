# +RNN, the intersection RNN: Collins 2017, arXiv 1611.09913, with ReLU and tanh. The output reads x without a matrix;
# the state s is carried on beside it.
y = relu(linear(x, s, name=depth))
n = tanh(linear(x, s, name=new))
a = sigmoid(linear(x, s, name=output_gate))
b = sigmoid(linear(x, s, name=update))
s' = b * s + (1 - b) * n
h' = a * x + (1 - a) * y

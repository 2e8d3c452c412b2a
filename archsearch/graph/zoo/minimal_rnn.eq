# MinimalRNN: Chen 2017, arXiv 1711.06788, with one tanh layer to encode the input.
z = tanh(linear(x, name=encoder))
u = sigmoid(linear(h, z, name=update))
h' = u * h + (1 - u) * z

# MGU, the minimal gated unit: Zhou 2016, arXiv 1603.09420.
f = sigmoid(linear(x, h, name=forget))
n = tanh(linear(x, f * h, name=new))
h' = (1 - f) * h + f * n

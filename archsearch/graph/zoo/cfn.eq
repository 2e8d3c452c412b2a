# CFN, the chaos-free network: Laurent 2017, arXiv 1612.06212. The content has no bias.
t = sigmoid(linear(x, h, name=forget))
e = sigmoid(linear(x, h, name=input))
n = tanh(linear(x, bias=no, name=content))
h' = t * tanh(h) + e * n

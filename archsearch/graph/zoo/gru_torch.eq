# GRU as torch.nn.GRU computes it: the reset gate works behind the matrix and its bias.
r = sigmoid(linear(x, h, name=reset))
z = sigmoid(linear(x, h, name=update))
n = tanh(linear(x, name=new_1) + r * linear(h, name=new_2))
h' = n + z * (h - n)

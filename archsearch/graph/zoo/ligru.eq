# Li-GRU, the light GRU: Ravanelli 2018, arXiv 1803.10225, without its batch normalization.
z = sigmoid(linear(x, h, name=update))
n = relu(linear(x, h, name=new))
h' = z * h + (1 - z) * n

# UGRNN, the update gate RNN: Collins 2017, arXiv 1611.09913.
n = tanh(linear(x, h, name=new))
g = sigmoid(linear(x, h, name=update))
h' = g * h + (1 - g) * n

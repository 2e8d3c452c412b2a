# Residual LSTM: Kim 2017, arXiv 1701.03360. The output gate opens a projection of the cell and a matrix on x.
i = sigmoid(linear(x, h, name=input) + peephole(c, name=input_c))
f = sigmoid(linear(x, h, name=forget) + peephole(c, name=forget_c))
g = tanh(linear(x, h, name=candidate))
c' = f * c + i * g
o = sigmoid(linear(x, h, name=output) + peephole(c', name=output_c))
m = linear(tanh(c'), bias=no, name=projection) + linear(x, bias=no, name=residual)
h' = o * m

# mLSTM, the multiplicative LSTM: Krause 2016, arXiv 1609.07959. The intermediate state m has no biases.
m = linear(x, bias=no, name=multiplicative_1) * linear(h, bias=no, name=multiplicative_2)
i = sigmoid(linear(x, m, name=input))
f = sigmoid(linear(x, m, name=forget))
g = tanh(linear(x, m, name=candidate))
o = sigmoid(linear(x, m, name=output))
c' = f * c + i * g
h' = o * tanh(c')

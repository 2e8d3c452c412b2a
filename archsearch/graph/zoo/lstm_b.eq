# LSTM-b of Jozefowicz 2015, Table 1: the LSTM with its forget bias starting at 1.
i = tanh(linear(x, h, name=input))
j = sigmoid(linear(x, h, name=candidate))
f = sigmoid(linear(x, h, bias_init=1, name=forget))
o = tanh(linear(x, h, name=output))
c' = c * f + i * j
h' = tanh(c') * o

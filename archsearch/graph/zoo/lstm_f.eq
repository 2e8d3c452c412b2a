# LSTM-f of Jozefowicz 2015, Table 1: the LSTM without its forget gate (f = 1).
i = tanh(linear(x, h, name=input))
j = sigmoid(linear(x, h, name=candidate))
o = tanh(linear(x, h, name=output))
c' = c + i * j
h' = tanh(c') * o

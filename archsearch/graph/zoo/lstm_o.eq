# LSTM-o of Jozefowicz 2015, Table 1: the LSTM without its output gate (o = 1).
i = tanh(linear(x, h, name=input))
j = sigmoid(linear(x, h, name=candidate))
f = sigmoid(linear(x, h, name=forget))
c' = c * f + i * j
h' = tanh(c')

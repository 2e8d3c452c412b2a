# LSTM-i of Jozefowicz 2015, Table 1: the LSTM without its input gate. The gate is the sigmoid, j in the paper's
# letters (our reading: j = 1).
i = tanh(linear(x, h, name=input))
f = sigmoid(linear(x, h, name=forget))
o = tanh(linear(x, h, name=output))
c' = c * f + i
h' = tanh(c') * o

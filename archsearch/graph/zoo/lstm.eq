# LSTM as Jozefowicz 2015 prints it (sec. 2.2): tanh, not sigmoid, on i and o, and the sigmoid on j.
i = tanh(linear(x, h, name=input))
j = sigmoid(linear(x, h, name=candidate))
f = sigmoid(linear(x, h, name=forget))
o = tanh(linear(x, h, name=output))
c' = c * f + i * j
h' = tanh(c') * o

# LSTM of Hochreiter 1997, Long short-term memory: no forget gate, no peepholes. The centred sigmoids of the paper are
# tanh here.
i = sigmoid(linear(x, h, name=input))
g = tanh(linear(x, h, name=candidate))
o = sigmoid(linear(x, h, name=output))
c' = c + i * g
h' = o * tanh(c')

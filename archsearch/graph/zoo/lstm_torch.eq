# LSTM with sigmoid gates, as torch.nn.LSTM computes it (one bias a gate; torch's two are their sum).
i = sigmoid(linear(x, h, name=input))
f = sigmoid(linear(x, h, name=forget))
g = tanh(linear(x, h, name=candidate))
o = sigmoid(linear(x, h, name=output))
c' = f * c + i * g
h' = o * tanh(c')

# LSTM with peepholes: Gers 2000, Recurrent nets that time and count; Gers 2002, Learning precise timing. The vanilla
# LSTM of Greff 2017, arXiv 1503.04069. Input and forget gate see the old cell, the output gate the new one.
z = tanh(linear(x, h, name=candidate))
i = sigmoid(linear(x, h, name=input) + peephole(c, name=input_c))
f = sigmoid(linear(x, h, name=forget) + peephole(c, name=forget_c))
c' = z * i + c * f
o = sigmoid(linear(x, h, name=output) + peephole(c', name=output_c))
h' = tanh(c') * o

# FGR of Greff 2017, arXiv 1503.04069: lstm_peephole with full gate recurrence. Every gate reads all gates of the step
# before, which are states here.
z = tanh(linear(x, h, name=candidate))
a = linear(x, h, i, f, o, name=input) + peephole(c, name=input_c)
i' = sigmoid(a)
b = linear(x, h, i, f, o, name=forget) + peephole(c, name=forget_c)
f' = sigmoid(b)
c' = z * i' + c * f'
d = linear(x, h, i, f, o, name=output) + peephole(c', name=output_c)
o' = sigmoid(d)
h' = tanh(c') * o'
states: h, c, i, f, o

# FGR of Greff 2017, arXiv 1503.04069: lstm_peephole with full gate recurrence. Every gate reads all gates of the step
# before, which are states here.
z = tanh(linear(x, h, name=candidate))
i' = sigmoid(linear(x, h, i, f, o, name=input) + peephole(c, name=input_peephole))
f' = sigmoid(linear(x, h, i, f, o, name=forget) + peephole(c, name=forget_peephole))
c' = z * i' + c * f'
o' = sigmoid(linear(x, h, i, f, o, name=output) + peephole(c', name=output_peephole))
h' = tanh(c') * o'
states: h, c, i, f, o

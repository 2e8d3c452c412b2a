# BRC, the bistable recurrent cell: Vecoven 2021, doi 10.1371/journal.pone.0252676. A unit reads its own old value
# and no other. The new value has no bias.
m = tanh(linear(x, name=modulation) + peephole(h, name=modulation_h))
a = 1 + m
c = sigmoid(linear(x, name=update) + peephole(h, name=update_h))
n = tanh(linear(x, bias=no, name=new) + a * h)
h' = c * h + (1 - c) * n

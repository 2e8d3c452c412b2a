# nBRC, the neuromodulated bistable recurrent cell: Vecoven 2021, doi 10.1371/journal.pone.0252676. The new value
# has no bias.
m = tanh(linear(x, h, name=modulation))
a = 1 + m
c = sigmoid(linear(x, h, name=update))
n = tanh(linear(x, bias=no, name=new) + a * h)
h' = c * h + (1 - c) * n

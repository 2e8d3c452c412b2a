# BRC, the bistable recurrent cell: Vecoven 2021, doi 10.1371/journal.pone.0252676. A unit reads its own old value
# and no other.
a = 1 + tanh(linear(x, name=modulation) + peephole(h, name=modulation_peephole))
c = sigmoid(linear(x, name=update) + peephole(h, name=update_peephole))
h' = c * h + (1 - c) * tanh(linear(x, name=new) + a * h)

# nBRC, the neuromodulated bistable recurrent cell: Vecoven 2021, doi 10.1371/journal.pone.0252676.
a = 1 + tanh(linear(x, h, name=modulation))
c = sigmoid(linear(x, h, name=update))
h' = c * h + (1 - c) * tanh(linear(x, name=new) + a * h)

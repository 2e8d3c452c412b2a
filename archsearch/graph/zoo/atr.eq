# ATR, the addition-subtraction twin-gated recurrent network: Zhang 2018, arXiv 1810.12546, with the
# one bias of its authors' code, that of the state.
p = linear(x, bias=no, name=input)
q = linear(h, name=recurrent)
h' = sigmoid(p + q) * p + sigmoid(p - q) * h

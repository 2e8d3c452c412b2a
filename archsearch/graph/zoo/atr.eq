# ATR, the addition-subtraction twin-gated recurrent network: Zhang 2018, arXiv 1810.12546.
p = linear(x, name=input)
q = linear(h, name=recurrent)
h' = sigmoid(p + q) * p + sigmoid(p - q) * h

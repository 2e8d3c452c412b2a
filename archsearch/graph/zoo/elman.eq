# Elman 1990, Finding structure in time, fig. 2: hidden units between 0 and 1 that read their own old values, and a
# readout, linear here. The output is what the readout gives; the hidden units are the state s.
s' = sigmoid(linear(x, s, name=hidden))
h' = linear(s', name=readout)

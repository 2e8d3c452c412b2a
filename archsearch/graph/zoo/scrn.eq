# SCRN, the structurally constrained network: Mikolov 2014, arXiv 1412.7753, with its alpha of 0.95. Hidden units s and
# slow context units c are states; the output is what goes into the softmax of the paper.
c' = 0.05 * linear(x, bias=no, name=context) + 0.95 * c
s' = sigmoid(linear(c', x, s, bias=no, name=hidden))
h' = linear(s', c', bias=no, name=readout)

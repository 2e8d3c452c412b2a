# RAN, the recurrent additive network: Lee 2017, arXiv 1705.07393, with tanh at the output. The content has no bias.
i = sigmoid(linear(x, h, name=input))
f = sigmoid(linear(x, h, name=forget))
c' = i * linear(x, bias=no, name=content) + f * c
h' = tanh(c')

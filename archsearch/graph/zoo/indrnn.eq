# IndRNN, the independently recurrent network: Li 2018, arXiv 1803.04831, with ReLU. A unit reads its own old value
# and no other.
h' = relu(linear(x, name=new) + peephole(h, name=recurrent))

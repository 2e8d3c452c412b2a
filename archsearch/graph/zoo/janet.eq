# JANET, just another network, an LSTM with the forget gate alone: van der Westhuizen 2018, arXiv 1804.04849, with its
# beta of 1.
s = linear(x, h, name=forget)
n = tanh(linear(x, h, name=new))
h' = sigmoid(s) * h + (1 - sigmoid(s - 1)) * n

# The light recurrent unit: Ye 2024, doi 10.3390/electronics13163204.
n = tanh(linear(x, name=new))
f = sigmoid(linear(x, h, name=forget))
h' = (1 - f) * h + f * n

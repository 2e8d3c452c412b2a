# STAR, the stackable recurrent cell: Turkoglu 2019, arXiv 1911.11033.
z = tanh(linear(x, name=new))
k = sigmoid(linear(x, h, name=gate))
h' = tanh((1 - k) * h + k * z)

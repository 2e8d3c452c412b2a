# GRU: Cho 2014 as in Jozefowicz 2015, sec. 2.3; h' = z*h + (1-z)*n, the reset before the matrix.
r = sigmoid(linear(x, h, name=reset))
z = sigmoid(linear(x, h, name=update))
n = tanh(linear(x, r * h, name=new))
h' = n + z * (h - n)

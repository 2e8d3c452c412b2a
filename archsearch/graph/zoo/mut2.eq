# MUT2 of Jozefowicz 2015, sec. 4; h' = n*z + h*(1-z). It reads x without a matrix.
z = sigmoid(linear(x, h, name=update))
r = sigmoid(x + linear(h, name=reset))
n = tanh(linear(r * h, x, name=new))
h' = h + z * (n - h)

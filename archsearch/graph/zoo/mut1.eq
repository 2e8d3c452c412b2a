# MUT1 of Jozefowicz 2015, sec. 4; h' = n*z + h*(1-z). It reads x without a matrix.
z = sigmoid(linear(x, name=update))
r = sigmoid(linear(x, h, name=reset))
n = tanh(linear(r * h, name=new) + tanh(x))
h' = h + z * (n - h)

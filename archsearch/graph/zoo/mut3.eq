# MUT3 of Jozefowicz 2015, sec. 4; h' = n*z + h*(1-z).
z = sigmoid(linear(x, tanh(h), name=update))
r = sigmoid(linear(x, h, name=reset))
n = tanh(linear(r * h, x, name=new))
h' = h + z * (n - h)

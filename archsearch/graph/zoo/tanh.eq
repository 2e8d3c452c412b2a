# Tanh RNN: Jozefowicz 2015, Table 1 "Tanh".
h' = tanh(linear(x, h, name=new))

# ReLU RNN, as torch.nn.RNN(nonlinearity='relu') computes it (one bias; torch's two are their sum).
h' = relu(linear(x, h, name=new))

"""How the weights of `retinex` are trained; nothing that enhances imports it."""

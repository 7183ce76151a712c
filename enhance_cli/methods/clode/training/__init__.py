"""How the weights of `clode` are trained; nothing that enhances imports it."""

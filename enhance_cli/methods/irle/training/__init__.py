"""How the weights of `irle` are trained; nothing that enhances imports it."""

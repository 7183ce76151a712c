"""How the weights of `local` are trained; nothing that enhances imports it."""

"""How the weights of `clahe-adaptive` are trained; nothing that enhances imports it."""

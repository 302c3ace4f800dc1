"""minigrad: every gradient, of every order, from one rule, and you can watch it happen."""

"""Ready tasks: data, a network and its training, as the command line runs them."""

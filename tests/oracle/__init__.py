"""Independent computations of what Segmill computes: slow, plain, and written from the definitions alone."""

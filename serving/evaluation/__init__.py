"""How good recommendations are: a log replayed, each next item foretold before it is learned."""

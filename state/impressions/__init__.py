"""What customers were shown of what was recommended to them, and clicked of it: a score of items, exact over all."""

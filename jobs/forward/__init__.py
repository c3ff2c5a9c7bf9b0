"""Records of a topic to a webhook: at least once, in order for each customer."""

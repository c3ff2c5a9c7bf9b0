"""What other systems ask for over the network: recommendations, content, and the catalog they speak of."""

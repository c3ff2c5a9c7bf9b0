"""Which items to show a customer: strategies, fallback levels, rules of the shop. Knows no server and no framework."""

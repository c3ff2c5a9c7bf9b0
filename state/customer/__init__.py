"""What is remembered of one customer: a fold over their events in event order, and how it is undone."""

"""What the shop says of its items: read from its files, kept in Redis, used to filter and to show."""

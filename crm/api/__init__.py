"""What processes say to each other: typed messages and thin clients, one file a conversation."""

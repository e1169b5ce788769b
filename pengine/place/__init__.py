"""Which instance goes to which node, with every score and its source. Plans no actions."""

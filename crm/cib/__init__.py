"""The configuration: one XML document, replicated, validated and durable."""

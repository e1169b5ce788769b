"""What is true: nodes, instances, activity, failures, constraints resolved. Decides nothing."""

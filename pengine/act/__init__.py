"""What would have to be done. Knows no order between actions."""

"""What must wait for what, and what is needed after all. Invents no actions."""

"""What people see: every word a tool prints comes from here."""

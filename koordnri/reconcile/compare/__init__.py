"""What another policy would change of what runs. See `compare.compare`."""

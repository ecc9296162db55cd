"""What several stages need one definition of: grid, Newton-Schulz, triggers."""

"""What runs have left: listed, compared, cleaned, traced back, and scored again."""

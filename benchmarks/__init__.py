"""What the product costs and how well it finds; results in README.md."""

"""What goes to finance: prices, statements, layouts, files."""

"""What people write: settings, YAML documents, models, filter syntax, roster, located errors."""

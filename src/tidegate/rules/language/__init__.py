"""What users write to select and shape events: filters, transforms, templates, patterns."""

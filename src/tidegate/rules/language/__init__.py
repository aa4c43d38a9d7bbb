"""The languages in which users select and shape events: filters, transforms, templates and type patterns."""

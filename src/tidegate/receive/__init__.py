"""The receive door: webhooks, forms and published events, each into the log before it is answered."""

"""The process: builds the gateway, serves HTTP, stops in order."""

"""The answer door: what the gateway tells when it is asked.

Functions and structs that read, for the API, the dashboard and the command line alike. Nothing here knows
HTTP; nothing here changes an event, a delivery or a record. Crash: nothing is kept, so nothing is lost.
"""

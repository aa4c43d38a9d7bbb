"""Everything that leaves: the guarded dialer, the POST client for deliveries, the client for pulls."""

"""Pure decisions about mail: what a message says, what its server says of its sender, and what is new in a folder."""

"""People: who may speak to the gateway, what they may do and use, and the record of what they did."""

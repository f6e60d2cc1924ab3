"""A stand-in for Azure on loopback, and what is tested against it; begin with cloud.py."""

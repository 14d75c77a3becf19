"""Defines what can be sent, and how it looks on the wire. Pure: no asyncio, no clock, no I/O, no logging."""

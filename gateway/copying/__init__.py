"""Reads and writes files in a container, with what programs its image has, whoever starts commands there."""

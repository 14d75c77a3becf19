"""Provides what runs in the runner; README.md has the wire. Standard library only, Python 3.9+, imports
nothing else of ours.
"""

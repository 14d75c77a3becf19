"""Ways to a cluster; contract.py is read first."""

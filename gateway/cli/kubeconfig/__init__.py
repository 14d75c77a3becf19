"""Writes what kubectl reads: the kubeconfig of a gateway, by itself or merged into the user's own file."""

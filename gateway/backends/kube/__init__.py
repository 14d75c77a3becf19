"""The Kubernetes API as a client, and what kubectl says."""

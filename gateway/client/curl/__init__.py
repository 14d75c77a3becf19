"""Makes HTTP requests from a cluster's runner, or through the cluster's API, as curl does."""

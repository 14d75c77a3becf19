"""SSH configurations, host-key files and agents, each run through `ssh` and through the gateway's login."""

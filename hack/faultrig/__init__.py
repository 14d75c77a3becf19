"""The fault rig: live sessions, one broken hop, and a checker for what is left of them. See README.md."""

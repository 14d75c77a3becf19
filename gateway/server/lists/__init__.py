"""Lists of pods, and of what leads to pods, that pages look at while they change."""

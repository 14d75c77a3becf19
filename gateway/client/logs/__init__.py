"""Reads the logs of pods: `reading.Reading`, what is wanted of them: `wish`."""

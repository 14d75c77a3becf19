"""What will run in the runner. Standard library only, Python 3.9+, imports nothing else of ours."""

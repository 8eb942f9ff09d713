"""The parts of tests/soak.py: load, disturbances, and the judgement of both."""

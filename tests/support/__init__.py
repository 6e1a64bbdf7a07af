"""What test files of several rooms share: builders of values, and waiting. Fakes stand in the room that they imitate."""

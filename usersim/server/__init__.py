"""What is reached over HTTP: knows the simulator and the store, and computes nothing itself."""

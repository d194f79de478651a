"""What the stages keep in a store: traces, scores, selections, adapters, trainings, responses."""

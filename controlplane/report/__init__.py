"""What is written back to the Fleet: statuses, Events, and the annotation with effective shares."""

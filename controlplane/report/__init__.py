"""Reports to the Fleet, which are written back: statuses, Events, the annotation with effective shares."""

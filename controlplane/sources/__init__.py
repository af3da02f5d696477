"""Where rules and endpoints come from: the Fleet, the member clusters that join and leave, host names."""

"""Whether, where and how often a failed request is tried again."""

"""What the networks look at: attribution and its checks, filters, activation maximisation."""

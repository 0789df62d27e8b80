"""What a topic that failed leaves behind: a file by which the failure can be repeated elsewhere."""

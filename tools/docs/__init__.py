"""What makes the documentation out of the prose in docs/ and the code."""

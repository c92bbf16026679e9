"""What the stages and the service share: the vocabulary, the features, the models and their measures."""

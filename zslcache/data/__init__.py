"""What the images are: datasets, splits, attributes and word vectors."""

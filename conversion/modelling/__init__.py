"""Model families, preprocessing, calibration, thresholds, training and the model file."""

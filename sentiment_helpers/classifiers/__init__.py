"""Networks and the trainer as scikit-learn estimators."""

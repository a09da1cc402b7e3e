"""The view in MLflow, made from the result files."""

"""Who measures: the harness, its results, and the tables, figures and MLflow runs made from them."""

"""What people see: tables, figures, pictures, the claims, the site and MLflow. It formats and computes nothing."""

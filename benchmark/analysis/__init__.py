"""What results say: statistics, leaderboard, comparison, coverage and claims. Frames in, frames out."""

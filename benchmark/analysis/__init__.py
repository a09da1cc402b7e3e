"""What results show: statistics, leaderboard, comparison, coverage and claims. Frames in, frames out."""

"""Pictures of bricks and plots of tables."""

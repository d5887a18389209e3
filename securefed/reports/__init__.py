"""What people see of a run: plain values first, then Markdown, JSON and plots."""

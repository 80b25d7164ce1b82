"""What others would write for the same job, beside ours."""

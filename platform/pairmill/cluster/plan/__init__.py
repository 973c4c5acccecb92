"""What a job will take, before it starts: a module for each kind of job, a sheet with every line of the arithmetic."""

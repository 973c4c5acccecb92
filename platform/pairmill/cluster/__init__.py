"""What a cluster needs: submit, render, plan, doctor."""

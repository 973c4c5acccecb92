"""What `train/prepare.py` is made of: the units of its stages, and the form of what they write."""

"""Pairmill mills raw web pages and bitext into evaluated embedding models, on Ray."""

__version__ = "0.1.0"

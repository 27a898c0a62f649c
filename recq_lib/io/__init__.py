"""Files, folders, processes and progress: how anything is written whole, where it lies, who works on it, and what a user sees meanwhile.

Imports errors alone.
"""

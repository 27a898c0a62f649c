"""Files, folders and progress: how anything is written whole, where it lies, and what a user sees meanwhile. Imports errors alone."""

"""A page on which one draws what to look for, and sees it found."""

"""Where images and masks come from: readers of layouts, prepared once, each a random-access Source."""

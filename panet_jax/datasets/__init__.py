"""Where images and masks come from: layouts of files, prepared once, become random-access Sources."""

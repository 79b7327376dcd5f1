"""What a person looks at: the slideshow, the iteration report, the guided set-up."""

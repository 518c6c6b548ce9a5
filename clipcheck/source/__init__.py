"""From files to text and back: which files, their encoding and line ends, notebooks, suppression comments."""
